// CommandRate: limits the commands of one connection. One token bucket counts accepted commands, a second one refused
// commands: each refusal says when to retry, and a client that keeps ignoring it is disconnected.

export interface CommandRateLimits {
  /** Sustained commands per second. */
  readonly perSecond: number
  /** Commands in a burst. */
  readonly burst: number
}

/** Refusals before the client is disconnected, as a multiple of the burst. */
const MAX_REFUSED_BURSTS = 5

export type CommandVerdict =
  | { readonly kind: 'take' }
  | { readonly kind: 'refuse'; readonly retryAfterMs: number }
  | { readonly kind: 'disconnect' }

const TAKE: CommandVerdict = { kind: 'take' }
const DISCONNECT: CommandVerdict = { kind: 'disconnect' }

export class CommandRate {
  readonly #limits: CommandRateLimits
  #tokens: number
  /** Recent refusals. They decay at the rate of the bucket. */
  #refused = 0
  #time: number

  /** @param now milliseconds of a monotonic clock */
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
    if (this.#refused > burst * MAX_REFUSED_BURSTS) return DISCONNECT
    // Each refusal names a later time, so that the retries are spread.
    return { kind: 'refuse', retryAfterMs: Math.ceil((this.#refused * 1000) / perSecond) }
  }
}
