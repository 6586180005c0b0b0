// SessionPresence: the connected members of a session, and the state that this client shows them. Presence is not in
// the log. The client repeats its own state after each attach; without a connection it knows of no members.
import type { Presence } from '@parley/protocol'
import { Listeners } from '../listeners.ts'

/** A connected member. */
export type PresentMember = Presence['members'][number]
/** What a member shows, for example `{ typing: true }`; at most 1 kB as JSON. */
export type PresenceState = PresentMember['state']

export interface PresenceView {
  /** The members. Of a large crowd, those that type and those that joined or changed last. */
  readonly members: readonly PresentMember[]
  /** Connections on all nodes. */
  readonly count: number
}

const EMPTY: PresenceView = { members: [], count: 0 }

export class SessionPresence {
  readonly #listeners = new Listeners()
  readonly #post: (state: PresenceState) => boolean
  #view = EMPTY
  #shown: PresenceState = {}
  #attached = false

  /** @param post sends a state now, or returns false */
  constructor(post: (state: PresenceState) => boolean) {
    this.#post = post
  }

  /** Immutable: each change creates another object. */
  get state(): PresenceView {
    return this.#view
  }

  /** Calls the listener after each change of `state`. @returns a function that unsubscribes */
  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  /** Shows the other members a state instead of the earlier one; `{}` clears it. At most 1 kB as JSON. */
  show(state: PresenceState): void {
    this.#shown = state
    if (this.#attached) this.#post(state)
  }

  // The rest is for AttachedSession.

  frame(frame: Presence): void {
    if (this.#attached) this.#update({ members: frame.members, count: frame.count ?? frame.members.length })
  }

  attached(): void {
    this.#attached = true
    if (Object.keys(this.#shown).length > 0) this.#post(this.#shown)
  }

  lost(): void {
    this.#attached = false
    if (this.#view !== EMPTY) this.#update(EMPTY)
  }

  #update(view: PresenceView): void {
    this.#view = view
    this.#listeners.notify()
  }
}
