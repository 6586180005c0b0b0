// SessionCatalog: lists and deletes sessions over plain HTTP, independently of the connection.
import type { SessionsAnswer } from '@parley/protocol'
import { makeId } from '../make-id.ts'
import type { LoadingCaller } from '../transport/http/loading-caller.ts'

export interface ListOptions {
  /** Sessions per page, 1 to 200; default 50. */
  readonly limit?: number
  /** The `next` of the previous page. */
  readonly before?: string
}

export class SessionCatalog {
  readonly #caller: LoadingCaller

  constructor(caller: LoadingCaller) {
    this.#caller = caller
  }

  async list({ limit, before }: ListOptions): Promise<SessionsAnswer> {
    const query = new URLSearchParams({
      ...(limit === undefined ? {} : { limit: String(limit) }),
      ...(before === undefined ? {} : { before }),
    })
    const path = `/v1/sessions${query.size === 0 ? '' : `?${query}`}`
    return (await this.#caller.request({ method: 'GET', path })) as SessionsAnswer
  }

  async delete(session: string): Promise<void> {
    const path = `/v1/sessions/${encodeURIComponent(session)}`
    await this.#caller.request({ method: 'DELETE', path, headers: { 'Idempotency-Key': makeId('del') } })
  }
}
