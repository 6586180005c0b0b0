// DeliveryRounds: what many streams receive within a few milliseconds goes to the nodes in one go. A node then wakes up once for all of
// them, and writes their outputs to its log together.

/** Milliseconds. The first bytes of a response do not wait. */
const GATHER_MS = 4

export class DeliveryRounds {
  readonly #due = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  /** Calls `deliver` once in the next round. */
  add(deliver: () => void): void {
    this.#due.add(deliver)
    this.#timer ??= setTimeout(() => this.#run(), GATHER_MS)
  }

  remove(deliver: () => void): void {
    this.#due.delete(deliver)
  }

  #run(): void {
    this.#timer = undefined
    const due = [...this.#due]
    this.#due.clear()
    for (const deliver of due) deliver()
  }
}
