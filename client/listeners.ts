// Listeners: who is told that a state has changed. One that throws harms no other, and is not hushed up.

export class Listeners {
  readonly #listeners = new Set<() => void>()

  add(listener: () => void): () => void {
    // Wrapped, so that the same function given twice counts twice.
    const own = (): void => listener()
    this.#listeners.add(own)
    return () => {
      this.#listeners.delete(own)
    }
  }

  notify(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener()
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
