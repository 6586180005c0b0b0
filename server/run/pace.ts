// Pace: sends values at a limited rate: the first at once, and after that the newest, one at a time. Values in between are dropped.

export class Pace<T> {
  readonly #send: (value: T) => Promise<void> | void
  readonly #everyMs: () => number
  #waiting: { readonly value: T } | undefined
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined

  /** @param send must not reject @param everyMs the shortest time between two values */
  constructor(send: (value: T) => Promise<void> | void, everyMs: () => number) {
    this.#send = send
    this.#everyMs = everyMs
  }

  push(value: T): void {
    this.#waiting = { value }
    if (this.#timer === undefined && this.#sending === undefined) this.#next()
  }

  /** Resolves when nothing is being sent. @param rest what happens to a value that waits */
  async end(rest: 'send' | 'drop'): Promise<void> {
    clearTimeout(this.#timer)
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined && rest === 'send') await this.#send(waiting.value)
    await this.#sending
  }

  #next(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#sending === undefined) this.#next()
    }, this.#everyMs())
    this.#timer.unref()
    const sent = this.#send(waiting.value)
    if (sent === undefined) return
    this.#sending = sent.finally(() => {
      this.#sending = undefined
      if (this.#timer === undefined) this.#next()
    })
  }
}
