// Listeners: the subscribers of a state. A throwing listener doesn't affect others; its error is rethrown in a
// microtask.

export class Listeners {
  readonly #listeners = new Set<() => void>()

  add(listener: () => void): () => void {
    // The wrapper makes a function that is added twice count twice.
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
