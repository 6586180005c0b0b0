// Semaphore: at most so many at once; the others wait in the order in which they came.
export class Semaphore {
  readonly #count: number
  readonly #unused: (() => void) | undefined
  #free: number
  #waiting: ((granted: boolean) => void)[] = []
  #closed = false

  /** @param unused called each time that all have been given back */
  constructor(count: number, unused?: () => void) {
    this.#count = count
    this.#unused = unused
    this.#free = count
  }

  /** @returns false when the slots were closed: then nothing was taken */
  async take(): Promise<boolean> {
    if (this.#closed) return false
    if (this.#free > 0) {
      this.#free -= 1
      return true
    }
    return new Promise<boolean>((resolve) => this.#waiting.push(resolve))
  }

  /** Gives back one that was taken. */
  give(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next(true)
      return
    }
    this.#free += 1
    if (this.#free === this.#count) this.#unused?.()
  }

  close(): void {
    this.#closed = true
    const waiting = this.#waiting
    this.#waiting = []
    for (const tell of waiting) tell(false)
  }
}
