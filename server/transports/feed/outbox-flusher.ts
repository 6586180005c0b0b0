// OutboxFlusher: outboxes that have something to send, sent once per event-loop turn, so that what one turn made
// for a socket (entries of several sessions, replies) is one write.
export interface Flushable {
  flush(): void
}

export class OutboxFlusher {
  #marked: Flushable[] = []
  #scheduled = false
  #turn = 0

  /** The number of this turn; another one when this turn's outboxes were sent. */
  turn(): number {
    this.#schedule()
    return this.#turn
  }

  /** Called once per turn and outbox. */
  mark(outbox: Flushable): void {
    this.#marked.push(outbox)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    this.#turn += 1
    const marked = this.#marked
    this.#marked = []
    for (const outbox of marked) outbox.flush()
  }
}
