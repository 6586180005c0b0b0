// Presence: who is here now, as the session's connection is told of it, and what this page shows of its own person.
import type { Session } from '@parley/client'
import type { Watcher } from './presence-note.ts'
import { type Show, TypingSignal } from './typing-signal.ts'

export interface PresenceState {
  /** Some of them, where there are many: who writes, and who came last. */
  readonly watchers: readonly Watcher[]
  /** Of all connections. */
  readonly count: number
}

const NOBODY: PresenceState = { watchers: [], count: 0 }

export class Presence {
  readonly typing: TypingSignal
  readonly #listeners = new Set<() => void>()
  #state: PresenceState = NOBODY

  constructor(_session: Session, show: Show = () => undefined) {
    this.typing = new TypingSignal(show)
  }

  get state(): PresenceState {
    return this.#state
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  close(): void {
    this.typing.ended()
  }
}
