// Pace: when the next commit may start. A commit costs about 0.25 ms of CPU whatever it holds, so the busier the log
// is, the longer it gathers: below some hundred appends a second not at all, then up to MAX_MS from start to start.
// Measured at 10,000/s, all in: 2 ms gave p50 0.5 ms at 22 µs of CPU an append, 4 ms 2.7 ms at 16, 5 ms 3.7 ms at 15.
const MAX_MS = 4.5
/** Waiting for less is not worth a timer. */
const MIN_MS = 0.5
/** Over what time the rate of appends is averaged. */
const MEMORY_MS = 50
const ENOUGH = 1024

export class Pace {
  /** Appends per millisecond. */
  #rate = 0
  #started = 0
  #hurry = false
  #wake: (() => void) | undefined

  /** Resolves when a commit should start. @param waiting how many appends wait already */
  async wait(waiting: number): Promise<void> {
    const gap = Math.min(MAX_MS, this.#rate) - (performance.now() - this.#started)
    if (gap > MIN_MS && waiting < ENOUGH && !this.#hurry) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, gap)
      })
    }
  }

  /** A commit starts with so many appends. */
  start(appends: number): void {
    const now = performance.now()
    const passed = Math.max(now - this.#started, 0.1)
    this.#rate += (appends / passed - this.#rate) * (1 - Math.exp(-passed / MEMORY_MS))
    this.#started = now
  }

  /** No more waiting. */
  hurry(): void {
    this.#hurry = true
    this.#wake?.()
  }
}
