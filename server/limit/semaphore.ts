// Semaphore: limits how many callers proceed at the same time. The others wait in the order of their arrival.
export class Semaphore {
  readonly #count: number
  readonly #onIdle: (() => void) | undefined
  #free: number
  #waiting: ((acquired: boolean) => void)[] = []
  #closed = false

  /** @param onIdle called each time the last permit was released */
  constructor(count: number, onIdle?: () => void) {
    this.#count = count
    this.#onIdle = onIdle
    this.#free = count
  }

  /** @returns false if the semaphore was closed: the caller then has no permit */
  async acquire(): Promise<boolean> {
    if (this.#closed) return false
    if (this.#free > 0) {
      this.#free -= 1
      return true
    }
    return new Promise<boolean>((resolve) => this.#waiting.push(resolve))
  }

  release(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next(true)
      return
    }
    this.#free += 1
    if (this.#free === this.#count) this.#onIdle?.()
  }

  close(): void {
    this.#closed = true
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(false)
  }
}
