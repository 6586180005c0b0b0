// RequestRate: how many requests one asker may make, by a token bucket for each. What is remembered is bounded: the
// asker that was silent for the longest is forgotten first, whose bucket is the fullest.
import { CommandRate, type CommandRateLimits, type CommandVerdict } from './command-rate.ts'

const ASKERS = 10_000

export class RequestRate {
  readonly #limits: CommandRateLimits
  readonly #rates = new Map<string, CommandRate>()

  constructor(limits: CommandRateLimits) {
    this.#limits = limits
  }

  /** @param now milliseconds of a clock that does not go back */
  judge(asker: string, now: number): CommandVerdict {
    const rate = this.#rates.get(asker) ?? new CommandRate(this.#limits, now)
    // To the end of the map's order.
    this.#rates.delete(asker)
    this.#rates.set(asker, rate)
    if (this.#rates.size > ASKERS) {
      for (const oldest of this.#rates.keys()) {
        this.#rates.delete(oldest)
        break
      }
    }
    return rate.judge(now)
  }
}
