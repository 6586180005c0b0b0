// FeedPosition: up to where a session was handed on, whichever way it came: what comes a second time is kept back, and
// who waits for a place is called when it is reached. Does no I/O.
import type { Attach, ServerFrame } from '@parley/protocol'
import { isAfter } from './session-view.ts'

interface Waiter {
  readonly cursor: string
  readonly then: () => void
}

export class FeedPosition {
  readonly #attach: string
  #cursor: string | undefined
  #role: string | undefined
  #live = false
  #waiting: Waiter[] = []

  /** @param attach the command that is answered by `attached` */
  constructor(attach: Attach) {
    this.#attach = attach.id
    this.#cursor = attach.after
  }

  get cursor(): string | undefined {
    return this.#cursor
  }

  get attached(): boolean {
    return this.#role !== undefined
  }

  /** The reader's, in the session, when it was attached last. */
  get role(): string | undefined {
    return this.#role
  }

  get live(): boolean {
    return this.#live
  }

  get waits(): boolean {
    return this.#waiting.length > 0
  }

  /** What of these frames is news, as a WebSocket would have brought it. */
  pass(frames: readonly ServerFrame[]): readonly ServerFrame[] {
    return frames.flatMap((frame): readonly ServerFrame[] => {
      switch (frame.type) {
        case 'attached': {
          const reset = frame.reset === true
          if (reset) this.#cursor = undefined
          // A stream that goes on where the one before broke off is no news.
          const isNews = reset || frame.role !== this.#role
          this.#role = frame.role
          return isNews ? [{ ...frame, id: this.#attach }] : []
        }
        case 'entry':
          if (this.reached(frame.cursor)) return []
          this.#cursor = frame.cursor
          return [frame]
        case 'live':
          this.#live = true
          if (!this.reached(frame.cursor)) this.#cursor = frame.cursor
          return [frame]
        default:
          return [frame]
      }
    })
  }

  /** Everything up to there was passed, also where nothing of it was to be seen. */
  advance(cursor: string): void {
    if (!this.reached(cursor)) this.#cursor = cursor
  }

  reached(cursor: string): boolean {
    return this.#cursor !== undefined && !isAfter(cursor, this.#cursor)
  }

  wait(cursor: string, then: () => void): void {
    this.#waiting.push({ cursor, then })
  }

  /** Calls those whose place was reached. To be called when what was passed has been handed on. */
  release(): void {
    if (this.#waiting.length === 0) return
    const reached = this.#waiting.filter(({ cursor }) => this.reached(cursor))
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter((waiter) => !reached.includes(waiter))
    for (const { then } of reached) then()
  }

  /** Nobody waits here any more. @returns those who did */
  leave(): readonly Waiter[] {
    return this.#waiting.splice(0)
  }
}
