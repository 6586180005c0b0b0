// StoredToken: this tab's access token, in the tab's own storage. It survives a reload; other tabs and the next user of
// this computer do not have it. It is never part of an address, so that no log and no history contains it.
import type { BrowserStorage } from '../shared/browser-storage.ts'
import { claimsOf } from './token-claims.ts'

const KEY = 'parley.token'

export class StoredToken {
  readonly #storage: BrowserStorage
  #value: string | undefined

  /** @param storage of the tab */
  constructor(storage: BrowserStorage) {
    this.#storage = storage
    const stored = storage.read(KEY)
    this.#value = typeof stored === 'string' ? stored : undefined
  }

  get value(): string | undefined {
    return this.#value
  }

  /** The token's subject; '' without a token, or if the token names none. */
  get user(): string {
    return this.#value === undefined ? '' : (claimsOf(this.#value).user ?? '')
  }

  /** Unix milliseconds; undefined if the token does not expire. */
  get expiresAt(): number | undefined {
    return this.#value === undefined ? undefined : claimsOf(this.#value).expiresAt
  }

  set(token: string): void {
    this.#value = token
    this.#storage.write(KEY, token)
  }

  clear(): void {
    this.#value = undefined
    this.#storage.write(KEY, undefined)
  }
}
