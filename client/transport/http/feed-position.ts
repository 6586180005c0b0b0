// FeedPosition: up to where a session was handed on, whichever way it came: what comes a second time is kept back, and
// who waits for a place is called when it is reached. Does no I/O.
import type { Attach, Event, ServerFrame } from '@parley/protocol'
import { isAfter } from '@parley/protocol/position'

interface Waiter {
  readonly cursor: string
  readonly then: () => void
}

export interface Passed {
  readonly news: readonly ServerFrame[]
  /**
   * An entry stands for several outputs, of which some were handed on before: it cannot be taken apart, and what comes
   * after it has to be asked for again, from here.
   */
  readonly torn: boolean
}

export class FeedPosition {
  readonly #attach: string
  #cursor: string | undefined
  #role: string | undefined
  #live = false
  /** By run that has not ended, the index of the output that comes next. */
  readonly #next = new Map<string, number>()
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

  /** A run was under way when something last came. */
  get isRunning(): boolean {
    return this.#next.size > 0
  }

  get waits(): boolean {
    return this.#waiting.length > 0
  }

  /** What of these frames is news, as a WebSocket would have brought it. */
  pass(frames: readonly ServerFrame[]): Passed {
    const news: ServerFrame[] = []
    for (const frame of frames) {
      if (frame.type === 'attached') {
        const reset = frame.reset === true
        if (reset) this.#forget()
        // A stream that goes on where the one before broke off is no news.
        if (reset || frame.role !== this.#role) news.push({ ...frame, id: this.#attach })
        this.#role = frame.role
      } else if (frame.type === 'entry') {
        if (this.reached(frame.cursor)) continue
        if (this.#isTorn(frame.event)) return { news, torn: true }
        this.#cursor = frame.cursor
        news.push(frame)
      } else {
        if (frame.type === 'live') {
          this.#live = true
          this.advance(frame.cursor)
        }
        news.push(frame)
      }
    }
    return { news, torn: false }
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

  /** Follows the indexes of the outputs. @returns whether a part of the event was handed on before */
  #isTorn(event: Event): boolean {
    switch (event.type) {
      case 'run.output': {
        const next = this.#next.get(event.run) ?? 0
        const after = event.index + (event.count ?? 1)
        if (event.index < next && after > next) return true
        this.#next.set(event.run, Math.max(next, after))
        return false
      }
      case 'run.started':
      case 'run.snapshot':
        this.#next.set(event.run, event.next)
        return false
      case 'run.ended':
        this.#next.delete(event.run)
        return false
      default:
        return false
    }
  }

  #forget(): void {
    this.#cursor = undefined
    this.#next.clear()
  }

  /** Nobody waits here any more. @returns those who did */
  leave(): readonly Waiter[] {
    return this.#waiting.splice(0)
  }
}
