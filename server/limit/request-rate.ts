// RequestRate: limits the requests of each client with a token bucket. At most CLIENTS buckets are kept: the client that
// was silent for the longest is forgotten first, because its bucket is the fullest.
import { CommandRate, type CommandRateLimits, type CommandVerdict } from './command-rate.ts'

const CLIENTS = 10_000

export class RequestRate {
  readonly #limits: CommandRateLimits
  readonly #rates = new Map<string, CommandRate>()

  constructor(limits: CommandRateLimits) {
    this.#limits = limits
  }

  /** @param now milliseconds of a monotonic clock */
  judge(client: string, now: number): CommandVerdict {
    const rate = this.#rates.get(client) ?? new CommandRate(this.#limits, now)
    // Move the client to the end of the map's order.
    this.#rates.delete(client)
    this.#rates.set(client, rate)
    if (this.#rates.size > CLIENTS) {
      for (const oldest of this.#rates.keys()) {
        this.#rates.delete(oldest)
        break
      }
    }
    return rate.judge(now)
  }
}
