// Painted: a state as the page shows it. However often the source changes, readers are told at most once for each
// frame that the browser paints, and all of them see the same state in it. Nothing is lost: the last state is shown.

export interface Source<T> {
  readonly state: T
  subscribe(listener: () => void): () => void
}

/** Calls back before the next frame is painted; in a hidden page, when it is shown again. */
export type NextFrame = (callback: () => void) => void

export class Painted<T> {
  readonly #source: Source<T>
  readonly #nextFrame: NextFrame
  readonly #listeners = new Set<() => void>()
  readonly #unsubscribe: () => void
  #shown: T
  #asked = false
  #closed = false

  constructor(source: Source<T>, nextFrame: NextFrame) {
    this.#source = source
    this.#nextFrame = nextFrame
    this.#shown = source.state
    this.#unsubscribe = source.subscribe(() => this.#changed())
  }

  /** Bound, so that React can be given it as it is. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** The same object until the next frame. */
  get shown(): T {
    return this.#shown
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe()
  }

  #changed(): void {
    if (this.#asked) return
    this.#asked = true
    this.#nextFrame(() => {
      this.#asked = false
      if (this.#closed || this.#shown === this.#source.state) return
      this.#shown = this.#source.state
      for (const listener of [...this.#listeners]) listener()
    })
  }
}
