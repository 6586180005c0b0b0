// DoorMemory: which door worked the last time, kept outside of the client's life. A hint and no more: a storage that
// fails, or holds something else, is as good as none.
import { DOORS, type Door } from './transport-choice.ts'

/** As `localStorage`. */
export interface DoorStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

/** Milliseconds after which another network is as likely as the same one. */
const KEPT_MS = 24 * 60 * 60_000

export class DoorMemory {
  readonly #storage: DoorStorage | undefined
  readonly #key: string
  readonly #now: () => number

  /** @param origin of the server */
  constructor(storage: DoorStorage | undefined, origin: string, now: () => number) {
    this.#storage = storage
    this.#key = `parley.door:${origin}`
    this.#now = now
  }

  recall(): Door | undefined {
    const [name, time] = (this.#attempt((storage) => storage.getItem(this.#key)) ?? '').split(' ')
    const age = this.#now() - Number(time)
    return age >= 0 && age < KEPT_MS ? DOORS.find((door) => door === name) : undefined
  }

  keep(door: Door): void {
    this.#attempt((storage) => storage.setItem(this.#key, `${door} ${this.#now()}`))
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
