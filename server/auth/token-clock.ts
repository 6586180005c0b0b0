// TokenClock: the time of one connection's token. It tells once that the time is nearly over, and once that it is. A
// fresh token starts it anew.

export interface TokenClockEvents {
  /** @param until Unix milliseconds */
  expiring(until: number): void
  expired(): void
}

/** Milliseconds before the end at which it is told; of a token with less left than twice that, at the half of it. */
const WARNING_MS = 60_000
/** Timers take no longer times. */
const TIMER_MAX_MS = 2 ** 31 - 1

export class TokenClock {
  readonly #events: TokenClockEvents
  #timer: NodeJS.Timeout | undefined

  constructor(events: TokenClockEvents) {
    this.#events = events
  }

  /** @param until Unix milliseconds; undefined: the token holds for ever */
  start(until: number | undefined): void {
    clearTimeout(this.#timer)
    if (until === undefined) return
    const left = until - Date.now()
    const warnAt = until - Math.min(WARNING_MS, left / 2)
    this.#at(warnAt, () => {
      this.#at(until, () => this.#events.expired())
      this.#events.expiring(until)
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #at(time: number, callback: () => void): void {
    const left = time - Date.now()
    this.#timer =
      left > TIMER_MAX_MS
        ? setTimeout(() => this.#at(time, callback), TIMER_MAX_MS)
        : setTimeout(callback, Math.max(0, left))
    this.#timer.unref()
  }
}
