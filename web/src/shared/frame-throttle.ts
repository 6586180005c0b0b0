// FrameThrottle: a copy of a source's state that changes at most once per painted frame. All listeners of a frame see
// the same state. Intermediate states are skipped; the last one is never lost.
import { Store } from './store.ts'

export interface Source<T> {
  readonly state: T
  subscribe(listener: () => void): () => void
}

/** Calls back before the next frame is painted. In a hidden page the callback waits until the page is visible. */
export type NextFrame = (callback: () => void) => void

export class FrameThrottle<T> extends Store<T> {
  readonly #source: Source<T>
  readonly #nextFrame: NextFrame
  readonly #unsubscribe: () => void
  #scheduled = false
  #closed = false

  constructor(source: Source<T>, nextFrame: NextFrame) {
    super(source.state)
    this.#source = source
    this.#nextFrame = nextFrame
    this.#unsubscribe = source.subscribe(() => this.#schedule())
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#nextFrame(() => {
      this.#scheduled = false
      if (!this.#closed && this.state !== this.#source.state) this.setState(this.#source.state)
    })
  }
}
