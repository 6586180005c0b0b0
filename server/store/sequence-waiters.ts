// SequenceWaiters: those who wait until a sequence number is reached.
import type { Seq } from './ports/entry.ts'

interface Waiter {
  readonly seq: Seq
  readonly done: () => void
}

export class SequenceWaiters {
  #waiters: Waiter[] = []

  wait(seq: Seq): Promise<void> {
    return new Promise((done) => {
      this.#waiters.push({ seq, done })
    })
  }

  /** Lets those go who wait for this number, or for one before it. */
  reached(at: Seq): void {
    if (this.#waiters.length === 0) return
    const ready = this.#waiters.filter(({ seq }) => seq <= at)
    this.#waiters = this.#waiters.filter(({ seq }) => seq > at)
    for (const { done } of ready) done()
  }
}
