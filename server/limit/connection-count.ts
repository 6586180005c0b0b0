// ConnectionCount: limits the connections of this node, in total and per client address.
import type { Logger } from 'pino'
import { ThrottledLog } from '../metric/throttled-log.ts'

export interface ConnectionLimits {
  readonly total: number
  readonly perAddress: number
}

export class ConnectionCount {
  readonly #limits: ConnectionLimits
  readonly #byAddress = new Map<string, number>()
  readonly #logger: Logger | undefined
  readonly #log = new ThrottledLog<'address' | 'total'>()
  #total = 0

  constructor(limits: ConnectionLimits, logger?: Logger) {
    this.#limits = limits
    this.#logger = logger
  }

  get total(): number {
    return this.#total
  }

  /** @returns `entered` if the connection was counted, otherwise the limit that was reached */
  enter(address: string): 'entered' | 'address' | 'total' {
    if (this.#total >= this.#limits.total) return this.#refuse('total')
    const count = this.#byAddress.get(address) ?? 0
    if (count >= this.#limits.perAddress) return this.#refuse('address')
    this.#byAddress.set(address, count + 1)
    this.#total += 1
    return 'entered'
  }

  leave(address: string): void {
    const count = this.#byAddress.get(address)
    if (count === undefined) return
    this.#total -= 1
    if (count === 1) this.#byAddress.delete(address)
    else this.#byAddress.set(address, count - 1)
  }

  #refuse<Limit extends 'address' | 'total'>(limit: Limit): Limit {
    this.#log.write(limit, (omitted) => this.#logger?.warn({ limit, omitted }, 'too many connections'))
    return limit
  }
}
