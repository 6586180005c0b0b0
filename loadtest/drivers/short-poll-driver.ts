// ShortPollDriver: polls a job, and respects its Retry-After.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Job, JobAccepted } from '@parley/protocol'
import { type AskRequest, sleepUnlessAborted } from './driver.ts'
import { HttpDriver } from './http-driver.ts'

export class ShortPollDriver extends HttpDriver {
  override async ask(request: AskRequest): Promise<void> {
    const headers = { 'Idempotency-Key': request.id }
    const body = { session: this.context.session, ...this.body(request) }
    const accepted = await this.requestUntilFinal('/jobs', { method: 'POST', headers, body }, request)
    const { id } = accepted.body as JobAccepted
    const forget = this.cancelOnAbort(request, () => this.requestUntilFinal(`/jobs/${id}`, { method: 'DELETE' }))
    let since = ''
    let wait = accepted.retryAfter ?? 1
    for (;;) {
      // Giving up ends the current pause; after that, pauses are complete again.
      await (request.gaveUp.aborted ? sleep(wait * 1000) : sleepUnlessAborted(wait * 1000, request.gaveUp))
      const answer = await this.requestUntilFinal(`/jobs/${id}${since}`, {}, request)
      const job = answer.body as Job
      if (job.reset === true) {
        request.watch.reset()
        request.verifier.reset()
      }
      const ended = job.entries.map((frame) => this.entry(request, frame))
      if (ended.includes(true)) return forget()
      since = `?since=${job.cursor}`
      wait = job.live ? (answer.retryAfter ?? 1) : 0
    }
  }
}
