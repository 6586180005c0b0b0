// SequenceWaiters: promises that resolve when a sequence number is reached.
import type { Seq } from './ports/entry.ts'

interface Waiter {
  readonly seq: Seq
  readonly resolve: () => void
}

const NONE: readonly Waiter[] = []

export class SequenceWaiters {
  /** Shared while there are none: many sessions are idle. */
  #waiters = NONE

  wait(seq: Seq): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters = [...this.#waiters, { seq, resolve }]
    })
  }

  /** Resolves the waiters for this number and for all lower ones. */
  reached(position: Seq): void {
    if (this.#waiters.length === 0) return
    const ready = this.#waiters.filter(({ seq }) => seq <= position)
    const others = this.#waiters.filter(({ seq }) => seq > position)
    this.#waiters = others.length === 0 ? NONE : others
    for (const { resolve } of ready) resolve()
  }
}
