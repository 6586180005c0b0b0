// Presence: who is here now, as the session's connection is told of it, and what this page shows of its own person: on
// what device, and whether they write.
import type { PresentMember, Session } from '@parley/client'
import type { Watcher } from './presence-note.ts'
import { TypingSignal } from './typing-signal.ts'

export interface PresenceState {
  /** Some of them, where there are many. */
  readonly watchers: readonly Watcher[]
  /** Of all connections. */
  readonly count: number
}

/** What presence needs of a session. */
export type PresentSession = Pick<Session, 'presence' | 'show'>

const NOBODY: PresenceState = { watchers: [], count: 0 }

export class Presence {
  readonly typing: TypingSignal
  readonly #session: PresentSession
  readonly #listeners = new Set<() => void>()
  readonly #stop: () => void
  #state: PresenceState = NOBODY

  /** @param device as people call it */
  constructor(session: PresentSession, device: string) {
    this.#session = session
    const show = (typing: boolean): void => session.show({ device, ...(typing ? { typing } : {}) })
    this.typing = new TypingSignal(show)
    this.#stop = session.presence.subscribe(() => this.#look())
    show(false)
    this.#look()
  }

  get state(): PresenceState {
    return this.#state
  }

  /** Bound, so that React can be given it as it is. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  close(): void {
    this.typing.ended()
    this.#stop()
  }

  #look(): void {
    const { members, count } = this.#session.presence.state
    this.#state = { watchers: members.map(watcherOf), count }
    for (const listener of [...this.#listeners]) listener()
  }
}

const DEVICE_MAX = 32

/** What others show is theirs to choose: only what is understood of it is taken. */
function watcherOf({ user, connection, state, name }: PresentMember): Watcher {
  const { device, typing } = state
  return {
    user,
    connection,
    ...(name === undefined ? {} : { name }),
    ...(typeof device === 'string' && device !== '' ? { device: device.slice(0, DEVICE_MAX) } : {}),
    typing: typing === true,
  }
}

/** What this page runs on, in a word. */
export function deviceOf(window: Window): string {
  const coarse = window.matchMedia('(pointer: coarse)').matches
  if (!coarse) return 'computer'
  return Math.min(window.screen.width, window.screen.height) < 600 ? 'phone' : 'tablet'
}
