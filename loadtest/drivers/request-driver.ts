// RequestDriver: request–response. If the connection breaks, it repeats the request with the same key, which finds the
// same run.
import type { JobAccepted, RunResult } from '@parley/protocol'
import { type AskRequest, Refused } from './driver.ts'
import { ConnectionLost } from './http-caller.ts'
import { HttpDriver } from './http-driver.ts'

const WAIT_S = 60

export class RequestDriver extends HttpDriver {
  override async ask(request: AskRequest): Promise<void> {
    const { result, gaveUp } = await this.#wait(request)
    if (!gaveUp) return this.#take(request, result)
    // The request was aborted before its answer named the run. A job names it, and can be cancelled.
    const accepted = await this.requestUntilFinal(
      `${this.path}/messages`,
      this.#post(request, 'respond-async'),
      request,
    )
    const { id } = accepted.body as JobAccepted
    if (accepted.status === 202) await this.requestUntilFinal(`/jobs/${id}`, { method: 'DELETE' }, request)
    const answer = await this.requestUntilFinal(`${this.path}/messages`, this.#post(request, `wait=${WAIT_S}`), request)
    this.#take(request, answer.body as RunResult)
  }

  async #wait(request: AskRequest): Promise<{ result?: RunResult; gaveUp: boolean }> {
    for (;;) {
      const call = { ...this.#post(request, `wait=${WAIT_S}`), signal: request.gaveUp, waitMs: WAIT_S * 1000 }
      try {
        const answer = await this.requestUntilFinal(`${this.path}/messages`, call, request)
        if (answer.status === 200) return { result: answer.body as RunResult, gaveUp: false }
      } catch (error) {
        if (!(error instanceof ConnectionLost) || !request.gaveUp.aborted) throw error
      }
      if (request.gaveUp.aborted) return { gaveUp: true }
    }
  }

  #post(request: AskRequest, prefer: string) {
    const headers = { Accept: 'application/json', Prefer: prefer, 'Idempotency-Key': request.id }
    return { method: 'POST', headers, body: this.body(request) } as const
  }

  #take(request: AskRequest, result: RunResult | undefined): void {
    if (result === undefined || !Array.isArray(result.output)) throw new Refused('the answer has no result')
    const outputs = request.verifier.takeResult(result.state, result.output, result.text)
    if (outputs > 0) request.watch.outputs(outputs)
  }
}
