// PresenceLongPoll: lets a poll that waits come when who is here is no longer what its client has. Not before it has waited for a while:
// however often people come, go and write, a client asks once a second at most because of it.

/** Milliseconds from a request to an answer that only tells who is here. */
export const HERE_MS = 1_000

export class PresenceLongPoll {
  readonly #seen: string
  readonly #tag: () => string
  readonly #since = performance.now()
  #arrived: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** @param seen the tag that the client has @param tag of who is here now */
  constructor(seen: string, tag: () => string) {
    this.#seen = seen
    this.#tag = tag
  }

  /** Calls back when there is news. */
  onNews(arrived: () => void): void {
    this.#arrived = arrived
    this.look()
  }

  /** Somebody may have come, gone, or shown something. */
  look(): void {
    if (this.#closed || this.#arrived === undefined || this.#timer !== undefined || !this.#isNews) return
    const waitMs = Math.max(0, this.#since + HERE_MS - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      // Who began to write may have stopped again: then there is none.
      if (this.#isNews) this.#arrived?.()
    }, waitMs)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  get #isNews(): boolean {
    return this.#tag() !== this.#seen
  }
}
