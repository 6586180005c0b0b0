// TransportMemory: which door worked the last time, and in which order doors were preferred, kept outside of the client's life.
// A hint and no more: a storage that fails, or holds something else, is as good as none.
import { DOORS, type Door, type DoorStorage } from '../transport/door.ts'
import { preferring } from './transport-choice.ts'

export interface Remembered {
  readonly door: Door
  /** Best first. */
  readonly order: readonly [Door, ...Door[]]
}

/** Milliseconds after which another network is as likely as the same one. */
const KEPT_MS = 24 * 60 * 60_000

export class TransportMemory {
  readonly #storage: DoorStorage | undefined
  readonly #key: string
  readonly #now: () => number

  /** @param origin of the server */
  constructor(storage: DoorStorage | undefined, origin: string, now: () => number) {
    this.#storage = storage
    this.#key = `parley.door:${origin}`
    this.#now = now
  }

  recall(): Remembered | undefined {
    const [name, time, order] = (this.#attempt((storage) => storage.getItem(this.#key)) ?? '').split(' ')
    const age = this.#now() - Number(time)
    const door = age >= 0 && age < KEPT_MS ? DOORS.find((known) => known === name) : undefined
    return door && { door, order: preferring(order?.split(',')) }
  }

  keep({ door, order }: Remembered): void {
    const words = [door, String(this.#now())]
    if (order.some((preferred, index) => preferred !== DOORS[index])) words.push(order.join(','))
    this.#attempt((storage) => storage.setItem(this.#key, words.join(' ')))
  }

  #attempt<T>(use: (storage: DoorStorage) => T): T | undefined {
    if (this.#storage === undefined) return undefined
    try {
      return use(this.#storage)
    } catch {
      // Full, or forbidden to this page.
      return undefined
    }
  }
}
