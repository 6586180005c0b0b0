// perFrame: a copy of a source's state that changes at most once per painted frame, so that a burst of tokens costs one
// render. All readers of a source share one copy. Intermediate states are skipped; the last one is never lost.

/** A state that can be read and subscribed to. Clients, sessions and `session.presence` are sources. */
export interface Source<T> {
  readonly getSnapshot: () => T
  /** @returns a function that unsubscribes */
  readonly subscribe: (listener: () => void) => () => void
}

/** Calls back before the next frame is painted. In a hidden page the callback waits until the page is visible. */
export type NextFrame = (callback: () => void) => void

const copies = new WeakMap<Source<unknown>, Source<unknown>>()

/**
 * The same source always returns the same copy. While nobody subscribes, the copy is the source's current state.
 * @example
 * const view = perFrame(session)
 * const unsubscribe = view.subscribe(() => draw(view.getSnapshot()))
 */
export function perFrame<T>(source: Source<T>): Source<T> {
  const existing = copies.get(source)
  if (existing !== undefined) return existing as Source<T>
  const copy = frameCopy(source)
  copies.set(source, copy)
  return copy
}

export function frameCopy<T>(source: Source<T>, nextFrame: NextFrame = onFrame): Source<T> {
  const listeners = new Set<() => void>()
  let state: T
  let unsubscribe: (() => void) | undefined
  let scheduled = false
  const paint = (): void => {
    scheduled = false
    if (unsubscribe === undefined || state === source.getSnapshot()) return
    state = source.getSnapshot()
    for (const listener of [...listeners]) listener()
  }
  const changed = (): void => {
    if (scheduled) return
    scheduled = true
    nextFrame(paint)
  }
  return {
    getSnapshot: () => (unsubscribe === undefined ? source.getSnapshot() : state),
    subscribe(listener) {
      if (unsubscribe === undefined) {
        state = source.getSnapshot()
        unsubscribe = source.subscribe(changed)
      }
      // The wrapper makes a function that is added twice count twice.
      const own = (): void => listener()
      listeners.add(own)
      return () => {
        listeners.delete(own)
        if (listeners.size > 0) return
        unsubscribe?.()
        unsubscribe = undefined
      }
    },
  }
}

function onFrame(callback: () => void): void {
  // React Native has frames, too; elsewhere, such as in tests on Node, the next task will do.
  if (typeof requestAnimationFrame === 'function') requestAnimationFrame(callback)
  else setTimeout(callback)
}
