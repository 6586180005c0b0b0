// CommandRate: how many commands a connection may send. A token bucket for what is taken, and a second one
// for what is refused: who is refused may ask again at the time he is told; who does not listen is cut off.
export interface CommandRateLimits {
  /** Commands a second, over time. */
  readonly perSecond: number
  /** Commands at once. */
  readonly burst: number
}

/** Refusals that are answered before the connection ends, as a multiple of the burst. */
const PATIENCE = 5

export type CommandVerdict =
  | { readonly kind: 'take' }
  | { readonly kind: 'refuse'; readonly retryAfterMs: number }
  | { readonly kind: 'disconnect' }

const TAKE: CommandVerdict = { kind: 'take' }
const DISCONNECT: CommandVerdict = { kind: 'disconnect' }

export class CommandRate {
  readonly #limits: CommandRateLimits
  #tokens: number
  /** Refusals that have not been forgiven yet; they are at the bucket's rate. */
  #refused = 0
  #time: number

  /** @param now milliseconds of a clock that does not go back */
  constructor(limits: CommandRateLimits, now: number) {
    this.#limits = limits
    this.#tokens = limits.burst
    this.#time = now
  }

  judge(now: number): CommandVerdict {
    const { perSecond, burst } = this.#limits
    const earned = ((now - this.#time) / 1000) * perSecond
    this.#time = now
    this.#tokens = Math.min(burst, this.#tokens + earned)
    this.#refused = Math.max(0, this.#refused - earned)
    if (this.#tokens >= 1) {
      this.#tokens -= 1
      return TAKE
    }
    this.#refused += 1
    if (this.#refused > burst * PATIENCE) return DISCONNECT
    // Each one that is refused gets a later time, so that they do not all come back at once.
    return { kind: 'refuse', retryAfterMs: Math.ceil((this.#refused * 1000) / perSecond) }
  }
}
