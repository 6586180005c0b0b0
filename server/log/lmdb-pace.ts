// Pace: when the next commit may start. A commit costs about 0.25 ms of CPU whatever it holds, so the busier the
// log is, the longer it gathers: not at all below some hundred appends a second, then up to MAX_MS from start to start.
const MAX_MS = 4
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
