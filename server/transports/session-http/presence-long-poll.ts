// PresenceLongPoll: answers a long poll when the presence differs from the client's. It waits for a second first, so
// that frequent changes of presence cause at most one poll per second and client.

/** Least milliseconds from a request to an answer that only has new presence. */
const PRESENCE_MS = 1_000

export class PresenceLongPoll {
  readonly #seen: string
  readonly #tag: () => string
  readonly #since = performance.now()
  #onChange: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** @param seen the tag that the client has @param tag returns the tag of the current presence */
  constructor(seen: string, tag: () => string) {
    this.#seen = seen
    this.#tag = tag
  }

  /** Calls back when the presence has changed. */
  onChange(listener: () => void): void {
    this.#onChange = listener
    this.check()
  }

  /** Must be called when the presence may have changed. */
  check(): void {
    if (this.#closed || this.#onChange === undefined || this.#timer !== undefined || !this.#hasChanged) return
    const waitMs = Math.max(0, this.#since + PRESENCE_MS - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      // The change may have been undone meanwhile: a user started to type, and stopped.
      if (this.#hasChanged) this.#onChange?.()
    }, waitMs)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  get #hasChanged(): boolean {
    return this.#tag() !== this.#seen
  }
}
