// SessionShelf: sessions as wholes, over plain HTTP, whatever door the client has open: the list of them, and deletion.
import type { SessionsAnswer } from '@parley/protocol'
import { makeId } from '@parley/protocol/make-id'
import { type ClientOptions, type Clock, httpUrl, SYSTEM_CLOCK } from './client-options.ts'
import { backoff, type ReconnectPolicy } from './connection-state.ts'
import { HttpCaller } from './http-caller.ts'
import { HttpFailure } from './http-failure.ts'
import { ParleyError } from './parley-error.ts'

export interface ListOptions {
  /** 1 to 200; default 50. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly before?: string
}

const TIMEOUT_MS = 15_000
const TRIES = 4
const RETRY: ReconnectPolicy = { baseMs: 500, maxMs: 5_000 }

export class SessionShelf {
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

  async list({ limit, before }: ListOptions): Promise<SessionsAnswer> {
    const query = new URLSearchParams({
      ...(limit === undefined ? {} : { limit: String(limit) }),
      ...(before === undefined ? {} : { before }),
    })
    const path = `/v1/sessions${query.size === 0 ? '' : `?${query}`}`
    return this.#tried(async () => {
      const call = { method: 'GET', path, accept: 'application/json', timeoutMs: TIMEOUT_MS } as const
      return (await this.#caller.json(call)).body as SessionsAnswer
    })
  }

  async delete(session: string): Promise<void> {
    const headers = { 'Idempotency-Key': makeId('del') }
    const path = `/v1/sessions/${encodeURIComponent(session)}`
    await this.#tried(async () => {
      await this.#caller.json({ method: 'DELETE', path, accept: 'application/json', headers, timeoutMs: TIMEOUT_MS })
    })
  }

  /** The next request asks for the token again. */
  renew(): void {
    this.#caller.renew()
  }

  close(): void {
    this.#caller.close()
  }

  async #tried<T>(ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof HttpFailure)) throw error
        const { code, message, retryable, retryAfterMs } = error
        if (!retryable || attempt === TRIES) throw new ParleyError(code, message, retryable, retryAfterMs)
        const waitMs = Math.max(backoff(RETRY, attempt, this.#clock.random()), retryAfterMs ?? 0)
        await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve))
      }
    }
  }
}
