// SingleFlight: callers share one execution of the work. Callers arriving mid-run share the next run, because the
// current one may have started before the change that they want to see.

export class SingleFlight {
  readonly #work: () => Promise<void>
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  /** Resolves or rejects like an execution of the work that starts after this call. */
  run(): Promise<void> {
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#running = this.#next as Promise<void>
        this.#next = undefined
        return this.#work()
      })
    return this.#next
  }
}
