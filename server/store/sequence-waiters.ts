// SequenceWaiters: promises that resolve when a sequence number is reached.
import type { Seq } from './ports/entry.ts'

interface Waiter {
  readonly seq: Seq
  readonly resolve: () => void
}

export class SequenceWaiters {
  #waiters: Waiter[] = []

  wait(seq: Seq): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ seq, resolve })
    })
  }

  /** Resolves the waiters for this number and for all lower ones. */
  reached(position: Seq): void {
    if (this.#waiters.length === 0) return
    const ready = this.#waiters.filter(({ seq }) => seq <= position)
    this.#waiters = this.#waiters.filter(({ seq }) => seq > position)
    for (const { resolve } of ready) resolve()
  }
}
