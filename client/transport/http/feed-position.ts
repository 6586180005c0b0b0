// FeedPosition: how far a session's frames have been delivered, over a stream or polls. It drops frames that arrive
// twice, and calls the waiters of a cursor when it is reached. Does no I/O.
import type { Attach, Event, ServerFrame } from '@parley/protocol'
import { isAfter } from '@parley/protocol/position'

interface Waiter {
  readonly cursor: string
  readonly callback: () => void
}

export interface Filtered {
  readonly frames: readonly ServerFrame[]
  /**
   * An entry merges several outputs, some of which were delivered before. It cannot be split, so the following entries
   * must be requested again from here.
   */
  readonly isSplit: boolean
}

export class FeedPosition {
  readonly #attach: string
  #cursor: string | undefined
  #role: string | undefined
  #live = false
  /** By unfinished run, the index of the next output. */
  readonly #next = new Map<string, number>()
  #waiters: Waiter[] = []

  /** @param attach the command that `attached` answers */
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

  /** The reader's role, as of the last `attached`. */
  get role(): string | undefined {
    return this.#role
  }

  get live(): boolean {
    return this.#live
  }

  /** Whether a run was active as of the last frame. */
  get isRunning(): boolean {
    return this.#next.size > 0
  }

  get hasWaiters(): boolean {
    return this.#waiters.length > 0
  }

  /** Returns the new frames, as a WebSocket would have delivered them. */
  filter(received: readonly ServerFrame[]): Filtered {
    const frames: ServerFrame[] = []
    for (const frame of received) {
      if (frame.type === 'attached') {
        const reset = frame.reset === true
        if (reset) this.#reset()
        // A stream that resumes at this position is no news to the session.
        if (reset || frame.role !== this.#role) frames.push({ ...frame, id: this.#attach })
        this.#role = frame.role
      } else if (frame.type === 'entry') {
        if (this.reached(frame.cursor)) continue
        if (this.#isSplit(frame.event)) return { frames, isSplit: true }
        this.#cursor = frame.cursor
        frames.push(frame)
      } else {
        if (frame.type === 'live') {
          this.#live = true
          this.advance(frame.cursor)
        }
        frames.push(frame)
      }
    }
    return { frames, isSplit: false }
  }

  /** Marks everything up to a cursor as delivered, even if there were no visible entries. */
  advance(cursor: string): void {
    if (!this.reached(cursor)) this.#cursor = cursor
  }

  reached(cursor: string): boolean {
    return this.#cursor !== undefined && !isAfter(cursor, this.#cursor)
  }

  addWaiter(cursor: string, callback: () => void): void {
    this.#waiters.push({ cursor, callback })
  }

  /** Calls the waiters of reached cursors. Must follow the delivery of the frames. */
  notifyReached(): void {
    if (this.#waiters.length === 0) return
    const reached = this.#waiters.filter(({ cursor }) => this.reached(cursor))
    if (reached.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => !reached.includes(waiter))
    for (const { callback } of reached) callback()
  }

  /** Tracks the indexes of outputs. @returns whether a part of the event was delivered before */
  #isSplit(event: Event): boolean {
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

  #reset(): void {
    this.#cursor = undefined
    this.#next.clear()
  }

  /** @returns the removed waiters */
  removeWaiters(): readonly Waiter[] {
    return this.#waiters.splice(0)
  }
}
