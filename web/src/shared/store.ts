// Store: a state outside of React. Listeners run after each change; components read it with useStore.
import { useSyncExternalStore } from 'react'

export class Store<T> {
  readonly #listeners = new Set<() => void>()
  #state: T

  constructor(state: T) {
    this.#state = state
  }

  get state(): T {
    return this.#state
  }

  readonly getSnapshot = (): T => this.#state

  /** Bound, because React calls it without its object. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  protected setState(state: T): void {
    this.#state = state
    for (const listener of [...this.#listeners]) listener()
  }
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.getSnapshot)
}
