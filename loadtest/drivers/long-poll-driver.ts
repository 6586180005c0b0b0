// LongPollDriver: asks, then reads the run's events with long polls.
import type { EventsPage, JobAccepted } from '@parley/protocol'
import { type AskRequest, Refused } from './driver.ts'
import { HttpDriver } from './http-driver.ts'

const WAIT_S = 25

export class LongPollDriver extends HttpDriver {
  override async ask(request: AskRequest): Promise<void> {
    const headers = { Accept: 'application/json', Prefer: 'respond-async', 'Idempotency-Key': request.id }
    const post = { method: 'POST', headers, body: this.body(request) } as const
    const accepted = await this.requestUntilFinal(`${this.path}/messages`, post, request)
    const { run } = accepted.body as JobAccepted
    const cancel = { method: 'POST', headers: { 'Idempotency-Key': `${request.id}-cancel` }, body: { run } } as const
    const forget = this.cancelOnAbort(request, () => this.requestUntilFinal(`${this.path}/cancel`, cancel))
    let after = ''
    for (;;) {
      const poll = `${this.path}/events?run=${run}&wait=${WAIT_S}${after}`
      const answer = await this.requestUntilFinal(poll, { waitMs: WAIT_S * 1000 }, request)
      if (answer.status !== 200) throw new Refused(`status ${answer.status}`)
      const page = answer.body as EventsPage
      if (page.reset === true) {
        request.watch.reset()
        request.verifier.reset()
      }
      const ended = page.entries.map((frame) => this.entry(request, frame))
      if (ended.includes(true)) return forget()
      after = `&after=${page.cursor}`
    }
  }
}
