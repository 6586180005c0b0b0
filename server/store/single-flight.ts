// SingleFlight: callers share one execution of some work. Callers arriving mid-run share the next run, because the
// current one may have started before the change that they want to see.

export class SingleFlight {
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** Resolves or rejects like an execution of the work that starts after this call. @param work always the same */
  run(work: () => Promise<void>): Promise<void> {
    this.#next ??= this.#runNext(work)
    return this.#next
  }

  async #runNext(work: () => Promise<void>): Promise<void> {
    await this.#running?.catch(() => undefined)
    const own = this.#next
    this.#running = own
    this.#next = undefined
    try {
      await work()
    } finally {
      if (this.#running === own) this.#running = undefined
    }
  }
}
