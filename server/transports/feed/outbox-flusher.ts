// OutboxFlusher: flushes the outboxes that have data, once per event-loop turn. So all data that one turn produces for a
// socket (entries of several sessions, replies) is one write.
export interface Flushable {
  flush(): void
}

export class OutboxFlusher {
  #outboxes: Flushable[] = []
  #scheduled = false
  #turn = 0

  /** The number of this turn. It changes when this turn's outboxes were flushed. */
  turn(): number {
    this.#scheduleRun()
    return this.#turn
  }

  /** Must be called at most once per turn and outbox. */
  schedule(outbox: Flushable): void {
    this.#outboxes.push(outbox)
    this.#scheduleRun()
  }

  #scheduleRun(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    this.#turn += 1
    const outboxes = this.#outboxes
    this.#outboxes = []
    for (const outbox of outboxes) outbox.flush()
  }
}
