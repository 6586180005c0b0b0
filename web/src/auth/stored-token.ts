// Pass: the token that this tab speaks with. It is kept in the tab's own storage: a reload goes on with it, other tabs and
// the next person at this machine do not have it. It stands in no address, so that no log and no history holds it.
import type { Keep } from '../shared/browser-storage.ts'
import { claimsOf } from './token-claims.ts'

const KEY = 'parley.token'

export class Pass {
  readonly #keep: Keep
  #token: string | undefined

  /** @param keep of the tab */
  constructor(keep: Keep) {
    this.#keep = keep
    const held = keep.read(KEY)
    this.#token = typeof held === 'string' ? held : undefined
  }

  get token(): string | undefined {
    return this.#token
  }

  /** Whose it is, as far as a token tells: '' without one. */
  get subject(): string {
    return this.#token === undefined ? '' : (claimsOf(this.#token).subject ?? '')
  }

  /** Unix milliseconds until which it holds, where it tells. */
  get until(): number | undefined {
    return this.#token === undefined ? undefined : claimsOf(this.#token).until
  }

  take(token: string): void {
    this.#token = token
    this.#keep.write(KEY, token)
  }

  drop(): void {
    this.#token = undefined
    this.#keep.write(KEY, undefined)
  }
}
