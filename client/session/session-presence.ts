// SessionPresence: who is in a session now, and what this client shows there. Ephemeral: nothing of it is in the
// log. What is shown is shown again after each attach; who is here is unknown while there is no connection.
import type { Presence } from '@parley/protocol'
import { Listeners } from '../listeners.ts'

/** A connection that is here. */
export type PresentMember = Presence['members'][number]
export type PresenceState = PresentMember['state']

export interface PresenceView {
  /** Of a crowd, some: who types, and who came or showed something last. */
  readonly members: readonly PresentMember[]
  /** Connections that are here, on all nodes. */
  readonly count: number
}

const NOBODY: PresenceView = { members: [], count: 0 }

export class SessionPresence {
  readonly #listeners = new Listeners()
  readonly #post: (state: PresenceState) => boolean
  #view = NOBODY
  #shown: PresenceState = {}
  #attached = false

  /** @param post sends a state now, or says that it cannot */
  constructor(post: (state: PresenceState) => boolean) {
    this.#post = post
  }

  /** Immutable: another object after each change. */
  get state(): PresenceView {
    return this.#view
  }

  /** @returns a function that unsubscribes */
  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  /** Shows a state to the others, in place of the one before; `{}` takes it back. At most 1 kB as JSON. */
  show(state: PresenceState): void {
    this.#shown = state
    if (this.#attached) this.#post(state)
  }

  // What follows is for the session.

  frame(frame: Presence): void {
    if (this.#attached) this.#become({ members: frame.members, count: frame.count ?? frame.members.length })
  }

  attached(): void {
    this.#attached = true
    if (Object.keys(this.#shown).length > 0) this.#post(this.#shown)
  }

  lost(): void {
    this.#attached = false
    if (this.#view !== NOBODY) this.#become(NOBODY)
  }

  #become(view: PresenceView): void {
    this.#view = view
    this.#listeners.notify()
  }
}
