// TypingSignal: tells the others that somebody writes: at once, then at most every three seconds while it goes on, and that
// it is over when nothing was typed for a while, when it was sent, or when the page goes.

const REPEAT_MS = 3_000
const IDLE_MS = 5_000

/** @param typing what is to be shown to the others */
export type Show = (typing: boolean) => void

export class TypingSignal {
  readonly #show: Show
  readonly #now: () => number
  #saidAt: number | undefined
  #idle: ReturnType<typeof setTimeout> | undefined

  constructor(show: Show, now: () => number = Date.now) {
    this.#show = show
    this.#now = now
  }

  /** Something was typed. */
  typed(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.ended(), IDLE_MS)
    const now = this.#now()
    if (this.#saidAt !== undefined && now - this.#saidAt < REPEAT_MS) return
    this.#saidAt = now
    this.#show(true)
  }

  ended(): void {
    clearTimeout(this.#idle)
    if (this.#saidAt === undefined) return
    this.#saidAt = undefined
    this.#show(false)
  }
}
