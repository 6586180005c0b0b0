// RetryingCaller: requests over plain HTTP, independently of the open transport. It retries temporary failures a few
// times, and throws permanent ones as ParleyErrors.
import { backoff, type ReconnectPolicy } from '../../backoff.ts'
import { type ClientOptions, type Clock, httpUrl } from '../../client-options.ts'
import { ParleyError } from '../../parley-error.ts'
import { transportOptions } from '../transport.ts'
import { type HttpCall, HttpCaller } from './http-caller.ts'
import { HttpFailure } from './http-failure.ts'

export type RetriedRequest = Pick<HttpCall, 'method' | 'path' | 'headers'>

const TIMEOUT_MS = 15_000
const MAX_ATTEMPTS = 4
const RETRY: ReconnectPolicy = { baseMs: 500, maxMs: 5_000 }

export class RetryingCaller {
  readonly #caller: HttpCaller
  readonly #clock: Clock
  readonly #closing = new AbortController()

  constructor(options: ClientOptions) {
    const { token, fetch, clock, connection } = transportOptions(options, undefined)
    this.#clock = clock
    this.#caller = new HttpCaller({ url: httpUrl(options.url), token, fetch, clock, connection })
  }

  /** @returns the answer's body @throws ParleyError */
  async request(request: RetriedRequest): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      this.#closing.signal.throwIfAborted()
      try {
        const { body } = await this.#caller.json({ ...request, accept: 'application/json', timeoutMs: TIMEOUT_MS })
        return body
      } catch (error) {
        if (!(error instanceof HttpFailure)) throw error
        this.#closing.signal.throwIfAborted()
        const { code, message, retryable, retryAfterMs } = error
        if (!retryable || attempt === MAX_ATTEMPTS) throw new ParleyError(code, message, retryable, retryAfterMs)
        const waitMs = Math.max(backoff(RETRY, attempt, this.#clock.random()), retryAfterMs ?? 0)
        await this.#wait(waitMs)
      }
    }
  }

  /** The next request gets the access token again. */
  renew(): void {
    this.#caller.renew()
  }

  /** Requests in progress reject with `closed`, and so do later ones. */
  close(): void {
    this.#closing.abort(new ParleyError('closed', 'The client was closed. Create another one.'))
    this.#caller.close()
  }

  /** Ends early when the caller is closed. */
  async #wait(ms: number): Promise<void> {
    const { signal } = this.#closing
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#clock.after(ms, end)
      signal.addEventListener('abort', end)
    })
  }
}
