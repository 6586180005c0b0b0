// ClientId: a random id by which a server without authentication recognises this client, for experiments only. It is
// created on first use, which never happens with an access token, and lives as long as the storage keeps it.
import { makeId } from './make-id.ts'
import type { DoorStorage } from './transport/door.ts'

const ID_PATTERN = /^[A-Za-z0-9_-]{1,128}$/

export class ClientId {
  readonly #storage: DoorStorage | undefined
  readonly #key: string
  #value: string | undefined

  /** @param origin of the server: each server gets an id of its own */
  constructor(storage: DoorStorage | undefined, origin: string) {
    this.#storage = storage
    this.#key = `parley.client:${origin}`
  }

  /** Constant for this client, and for later clients with the same storage. */
  get value(): string {
    this.#value ??= this.#kept() ?? makeId('cli')
    return this.#value
  }

  /** @returns undefined if the storage fails */
  #kept(): string | undefined {
    if (this.#storage === undefined) return undefined
    try {
      const kept = this.#storage.getItem(this.#key) ?? ''
      if (ID_PATTERN.test(kept)) return kept
      const made = makeId('cli')
      this.#storage.setItem(this.#key, made)
      return made
    } catch {
      // The storage is full, or the page may not use it.
      return undefined
    }
  }
}
