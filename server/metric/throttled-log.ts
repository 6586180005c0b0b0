// ThrottledLog: log lines whose number clients or an outage decide, at a rate that fills no disk.

/** Milliseconds between two lines of one kind. */
const INTERVAL_MS = 10_000

interface Kind {
  writtenAt: number
  omitted: number
}

export class ThrottledLog<Name extends string> {
  readonly #now: () => number
  readonly #kinds = new Map<Name, Kind>()

  /** @param now monotonic time in milliseconds */
  constructor(now = () => performance.now()) {
    this.#now = now
  }

  /**
   * Writes the first line of a kind at once, and then at most one every ten seconds.
   *
   * @param write is called with the number of lines of this kind that were left out since the last one
   */
  write(name: Name, write: (omitted: number) => void): void {
    const now = this.#now()
    const kind = this.#kinds.get(name)
    if (kind !== undefined && now - kind.writtenAt < INTERVAL_MS) {
      kind.omitted += 1
      return
    }
    this.#kinds.set(name, { writtenAt: now, omitted: 0 })
    write(kind?.omitted ?? 0)
  }
}
