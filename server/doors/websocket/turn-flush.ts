// TurnFlush: outboxes that have something to send, sent once per event-loop turn, so that what one turn made
// for a socket (entries of several sessions, replies) is one write.
export interface Flushable {
  flush(): void
}

export class TurnFlush {
  #marked: Flushable[] = []
  #scheduled = false

  /** Called once per turn and outbox. */
  mark(outbox: Flushable): void {
    this.#marked.push(outbox)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#run())
  }

  #run(): void {
    this.#scheduled = false
    const marked = this.#marked
    this.#marked = []
    for (const outbox of marked) outbox.flush()
  }
}
