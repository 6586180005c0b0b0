// TransportMemory: stores the transport that worked last, and the order of preference, beyond the client's life. It is
// only a hint: a storage that fails or contains something else counts as empty.
import { type Door, type DoorStorage, TRANSPORTS, tryStorage } from '../transport/door.ts'
import { preferring, type TransportOrder } from './transport-choice.ts'

export interface Remembered {
  readonly kind: Door
  /** Best first. */
  readonly order: TransportOrder
}

/** After a day, the client may be in another network. */
const MAX_AGE_MS = 24 * 60 * 60_000

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
    const [name, time, order] = (tryStorage(this.#storage, (storage) => storage.getItem(this.#key)) ?? '').split(' ')
    // The device's clock may have been set back meanwhile.
    const age = Math.abs(this.#now() - Number(time))
    const kind = age < MAX_AGE_MS ? TRANSPORTS.find((known) => known === name) : undefined
    return kind && { kind, order: preferring(order?.split(',')) }
  }

  keep({ kind, order }: Remembered): void {
    const words = [kind, String(this.#now())]
    if (order.some((preferred, index) => preferred !== TRANSPORTS[index])) words.push(order.join(','))
    tryStorage(this.#storage, (storage) => storage.setItem(this.#key, words.join(' ')))
  }
}
