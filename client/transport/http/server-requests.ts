// ServerRequests: requests about the user and their sessions over plain HTTP, independently of the open transport. They
// retry temporary failures a few times, and throw permanent ones as ParleyErrors.
import type { MeAnswer, SessionsAnswer } from '@parley/protocol'
import { backoff, type ReconnectPolicy } from '../../backoff.ts'
import { type ClientOptions, type Clock, httpUrl } from '../../client-options.ts'
import { given } from '../../given.ts'
import { makeId } from '../../make-id.ts'
import { ParleyError, refusal } from '../../parley-error.ts'
import { transportOptions } from '../transport.ts'
import { sessionPath } from './command-request.ts'
import { HttpCaller } from './http-caller.ts'
import { HttpFailure } from './http-failure.ts'

export interface ListOptions {
  /** Sessions per page, 1 to 200; default 50. */
  readonly limit?: number
  /** The `next` of the previous page. */
  readonly before?: string
}

const TIMEOUT_MS = 15_000
const MAX_ATTEMPTS = 4
const RETRY: ReconnectPolicy = { baseMs: 500, maxMs: 5_000 }

export class ServerRequests {
  readonly #caller: HttpCaller
  readonly #clock: Clock
  readonly #closing = new AbortController()

  constructor(options: ClientOptions) {
    const { token, fetch, clock, connection } = transportOptions(options, undefined)
    this.#clock = clock
    this.#caller = new HttpCaller({ url: httpUrl(options.url), token, fetch, clock, connection })
  }

  /** @throws ParleyError */
  sessions({ limit, before }: ListOptions): Promise<SessionsAnswer> {
    return this.#get('/v1/sessions', { limit: limit?.toString(), before })
  }

  /** @throws ParleyError */
  me(session: string | undefined): Promise<MeAnswer> {
    return this.#get('/v1/me', { session })
  }

  /** @throws ParleyError */
  async deleteSession(id: string): Promise<void> {
    await this.#request('DELETE', sessionPath(id), { 'Idempotency-Key': makeId('del') })
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

  async #get<Answer>(path: string, query: Readonly<Record<string, string | undefined>>): Promise<Answer> {
    const parameters = new URLSearchParams(given(query) as Record<string, string>)
    return (await this.#request('GET', parameters.size === 0 ? path : `${path}?${parameters}`)) as Answer
  }

  async #request(
    method: 'GET' | 'DELETE',
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<unknown> {
    const call = { method, path, headers, timeoutMs: TIMEOUT_MS }
    for (let attempt = 1; ; attempt += 1) {
      this.#closing.signal.throwIfAborted()
      try {
        return (await this.#caller.json(call)).body
      } catch (error) {
        if (!(error instanceof HttpFailure)) throw error
        this.#closing.signal.throwIfAborted()
        if (!error.retryable || attempt === MAX_ATTEMPTS) throw refusal(error)
        const waitMs = Math.max(backoff(RETRY, attempt, this.#clock.random()), error.retryAfterMs ?? 0)
        await this.#wait(waitMs)
      }
    }
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
