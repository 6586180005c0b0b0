// ClientId: what a server where all are anonymous may tell this client by, in experiments alone. Made by chance when it is
// first asked for, which nobody does who has a token, and kept as long as the storage keeps it.
import { makeId } from '@parley/protocol/make-id'
import type { DoorStorage } from './transport/door.ts'

const FORM = /^[A-Za-z0-9_-]{1,128}$/

export class ClientId {
  readonly #storage: DoorStorage | undefined
  readonly #key: string
  #value: string | undefined

  /** @param origin of the server: no other is told the same */
  constructor(storage: DoorStorage | undefined, origin: string) {
    this.#storage = storage
    this.#key = `parley.client:${origin}`
  }

  /** The same as long as this client lives, and then as long as the storage does. */
  get value(): string {
    this.#value ??= this.#kept() ?? makeId('cli')
    return this.#value
  }

  /** @returns undefined where the storage fails */
  #kept(): string | undefined {
    if (this.#storage === undefined) return undefined
    try {
      const kept = this.#storage.getItem(this.#key) ?? ''
      if (FORM.test(kept)) return kept
      const made = makeId('cli')
      this.#storage.setItem(this.#key, made)
      return made
    } catch {
      // Full, or forbidden to this page.
      return undefined
    }
  }
}
