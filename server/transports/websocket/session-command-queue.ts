// SessionCommandQueue: tasks with the same key run one after the other, in the order in which they came; those with
// different keys do not wait for each other. The number of waiting tasks is bounded by whoever runs them.
export class SessionCommandQueue {
  /** There while something runs. */
  #tails: Map<string, Promise<void>> | undefined

  /** @param task must not reject */
  run(key: string, task: () => Promise<void>): void {
    this.#tails ??= new Map()
    const tails = this.#tails
    const before = tails.get(key)
    const tail = (before === undefined ? task() : before.then(task)).finally(() => {
      if (tails.get(key) === tail) tails.delete(key)
      if (tails.size === 0 && this.#tails === tails) this.#tails = undefined
    })
    tails.set(key, tail)
  }
}
