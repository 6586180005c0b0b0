// Lanes: tasks with the same key run one after the other, in the order in which they came; those with
// different keys do not wait for each other. The number of waiting tasks is bounded by whoever runs them.
export class Lanes {
  readonly #tails = new Map<string, Promise<void>>()

  /** @param task must not reject */
  run(key: string, task: () => Promise<void>): void {
    const before = this.#tails.get(key)
    const tail = (before === undefined ? task() : before.then(task)).finally(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    this.#tails.set(key, tail)
  }
}
