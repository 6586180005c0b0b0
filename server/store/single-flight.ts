// SingleFlight: one piece of work for all who ask before it begins. Work that has begun may have missed what whoever asks
// now wants to see; so they share the next.

export class SingleFlight {
  readonly #work: () => Promise<void>
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  /** Settles as a run of the work does that begins after this call. */
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
