// SessionCommandQueue: runs tasks of the same session one after another, in order of arrival, and tasks of different
// sessions concurrently. The caller limits the number of waiting tasks.
export class SessionCommandQueue {
  /** The last task of each session; undefined while nothing runs, to save memory on idle connections. */
  #tails: Map<string, Promise<void>> | undefined

  /** @param task must not reject */
  run(session: string, task: () => Promise<void>): void {
    this.#tails ??= new Map()
    const tails = this.#tails
    const before = tails.get(session)
    const tail = (before === undefined ? task() : before.then(task)).finally(() => {
      if (tails.get(session) === tail) tails.delete(session)
      if (tails.size === 0 && this.#tails === tails) this.#tails = undefined
    })
    tails.set(session, tail)
  }
}
