// RetryingCaller: questions to the server over plain HTTP, whatever door the client has open. What fails for the moment is
// asked again, a few times; what fails for good does so with a ParleyError.
import { makeId } from '@parley/protocol/make-id'
import { backoff, type ReconnectPolicy } from '../../backoff.ts'
import { type ClientOptions, type Clock, httpUrl, SYSTEM_CLOCK } from '../../client-options.ts'
import { ParleyError } from '../../parley-error.ts'
import { type HttpCall, HttpCaller } from './http-caller.ts'
import { HttpFailure } from './http-failure.ts'

export type Question = Pick<HttpCall, 'method' | 'path' | 'headers'>

const TIMEOUT_MS = 15_000
const TRIES = 4
const RETRY: ReconnectPolicy = { baseMs: 500, maxMs: 5_000 }

export class RetryingCaller {
  readonly #caller: HttpCaller
  readonly #clock: Clock

  constructor(options: ClientOptions) {
    const { url, token, fetch, clock = SYSTEM_CLOCK } = options
    this.#clock = clock
    this.#caller = new HttpCaller({
      url: httpUrl(url),
      token: async () => (typeof token === 'function' ? token() : token),
      fetch: fetch ?? ((...request) => globalThis.fetch(...request)),
      clock,
      connection: makeId('con'),
    })
  }

  /** @returns the answer's body @throws ParleyError */
  async ask(question: Question): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { body } = await this.#caller.json({ ...question, accept: 'application/json', timeoutMs: TIMEOUT_MS })
        return body
      } catch (error) {
        if (!(error instanceof HttpFailure)) throw error
        const { code, message, retryable, retryAfterMs } = error
        if (!retryable || attempt === TRIES) throw new ParleyError(code, message, retryable, retryAfterMs)
        const waitMs = Math.max(backoff(RETRY, attempt, this.#clock.random()), retryAfterMs ?? 0)
        await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve))
      }
    }
  }

  /** The next question asks for the token again. */
  renew(): void {
    this.#caller.renew()
  }

  close(): void {
    this.#caller.close()
  }
}
