// TokenClock: watches the expiry of one connection's access token. It reports once that the token expires soon, and once
// that it has expired. A fresh token restarts it.

export interface TokenClockEvents {
  /** @param until Unix milliseconds */
  expiring(until: number): void
  expired(): void
}

/** Milliseconds between the warning and the expiry. With less than twice that left, the warning comes at half the time. */
const WARNING_MS = 60_000
/** The maximum delay of a timer. */
const TIMER_MAX_MS = 2 ** 31 - 1

export class TokenClock {
  readonly #events: TokenClockEvents
  #timer: NodeJS.Timeout | undefined

  constructor(events: TokenClockEvents) {
    this.#events = events
  }

  /** @param until Unix milliseconds; undefined: the token never expires */
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
