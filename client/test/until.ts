// until: waits for a state instead of for a time.

interface Observable<S> {
  readonly state: S
  subscribe(listener: () => void): () => void
}

/** Resolves with the first state, now or later, for which `holds` returns true. */
export function until<S>(subject: Observable<S>, holds: (state: S) => boolean): Promise<S> {
  return new Promise((resolve) => {
    const check = (): boolean => {
      if (!holds(subject.state)) return false
      resolve(subject.state)
      return true
    }
    if (check()) return
    const unsubscribe = subject.subscribe(() => {
      if (check()) unsubscribe()
    })
  })
}
