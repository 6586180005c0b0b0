// HttpDriver: the common part of the drivers over plain HTTP: retries, and cancellation when the user gives up.
import { setTimeout as sleep } from 'node:timers/promises'
import type { EntryFrame } from '@parley/protocol'
import { type AskRequest, type DriverContext, type DriverUser, pauseOf, Refused } from './driver.ts'
import { type Answer, type Call, ConnectionLost, codeOf, HttpCaller, isRetryable } from './http-caller.ts'

export abstract class HttpDriver implements DriverUser {
  protected readonly context: DriverContext
  protected readonly caller: HttpCaller
  #closed = false

  constructor(context: DriverContext) {
    this.context = context
    this.caller = new HttpCaller(context)
  }

  /** HTTP keeps no connection before the first question. */
  arrive(): Promise<void> {
    return Promise.resolve()
  }

  abstract ask(request: AskRequest): Promise<void>

  close(): void {
    this.#closed = true
    this.caller.close()
  }

  protected get path(): string {
    return `/v1/sessions/${this.context.session}`
  }

  protected body(request: AskRequest): object {
    const { model } = this.context
    return { content: request.content, ...(model === undefined ? {} : { model }) }
  }

  /** Repeats the request until its answer is final. @throws Refused */
  protected async requestUntilFinal(path: string, call: Call, request?: AskRequest): Promise<Answer> {
    let interrupted = false
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await this.caller.call(path, call)
        if (interrupted) request?.watch.resumed()
        if (answer.status < 400) return answer
        if (!isRetryable(answer)) throw new Refused(codeOf(answer))
        await this.pause(attempt, answer.retryAfter)
      } catch (error) {
        if (!(error instanceof ConnectionLost) || call.signal?.aborted === true) throw error
        if (!interrupted) request?.watch.interrupted()
        interrupted = true
        await this.pause(attempt)
      }
    }
  }

  /** @throws Refused if the user has been closed */
  protected async pause(attempt: number, retryAfter?: number): Promise<void> {
    await sleep((retryAfter ?? 0) * 1000 + pauseOf(attempt, this.context.random))
    if (this.#closed) throw new Refused('closed')
  }

  /** Cancels the run when the user gives up; the driver still reads until its end. */
  protected cancelOnAbort(request: AskRequest, cancel: () => Promise<unknown>): () => void {
    const onAbort = () => {
      cancel().catch((error: unknown) => {
        // The run had ended before, or the user was closed: the verifier sees the outcome.
        if (!(error instanceof Refused)) throw error
      })
    }
    if (request.gaveUp.aborted) onAbort()
    else request.gaveUp.addEventListener('abort', onAbort, { once: true })
    return () => request.gaveUp.removeEventListener('abort', onAbort)
  }

  /** @returns whether this entry ends the run */
  protected entry(request: AskRequest, { cursor, event }: EntryFrame): boolean {
    const outputs = request.verifier.take(cursor, event)
    if (outputs > 0) request.watch.outputs(outputs)
    return event.type === 'run.ended'
  }
}
