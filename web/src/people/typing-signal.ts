// TypingSignal: reports to the other members that the user is typing: at once, then at most every three seconds. It is
// cleared when the user pauses, sends the message, or leaves the session.

const REPEAT_MS = 3_000
const IDLE_MS = 5_000

export class TypingSignal {
  readonly #send: (typing: boolean) => void
  #sentAt: number | undefined
  #idle: ReturnType<typeof setTimeout> | undefined

  constructor(send: (typing: boolean) => void) {
    this.#send = send
  }

  typed(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.ended(), IDLE_MS)
    const now = performance.now()
    if (this.#sentAt !== undefined && now - this.#sentAt < REPEAT_MS) return
    this.#sentAt = now
    this.#send(true)
  }

  ended(): void {
    clearTimeout(this.#idle)
    if (this.#sentAt === undefined) return
    this.#sentAt = undefined
    this.#send(false)
  }
}
