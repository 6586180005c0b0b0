// SessionPresence: the connected members of a session, and the state that this client shows them. Presence is not in
// the log. The client repeats its own state after each attach; without a connection it knows of no members.
import type { Presence } from '@parley/protocol'
import { bindMethods } from '../bind-methods.ts'
import { Listeners } from '../listeners.ts'
import type { ParleyError } from '../parley-error.ts'

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

/**
 * The connected members of a session, as `session.presence`.
 * @example
 * session.presence.subscribe(() => console.log(session.presence.state.members.map(({ user }) => user)))
 */
export class SessionPresence {
  readonly #listeners = new Listeners()
  readonly #post: (state: PresenceState) => boolean
  #view = EMPTY
  #shown: PresenceState = {}
  #attached = false
  #ended: ParleyError | undefined

  /** @param post sends a state now, or returns false */
  constructor(post: (state: PresenceState) => boolean) {
    bindMethods<SessionPresence>(this, SessionPresence.prototype)
    this.#post = post
  }

  /** Immutable: each change creates another object. */
  get state(): PresenceView {
    return this.#view
  }

  /** `state`, as a function for stores such as React's `useSyncExternalStore`. */
  readonly getSnapshot = (): PresenceView => this.#view

  /** Calls the listener after each change of `state`. @returns a function that unsubscribes */
  readonly subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener)

  /**
   * Shows the other members a state instead of the earlier one; `{}` clears it. At most 1 kB as JSON.
   * @throws ParleyError closed, or why the session has ended
   * @example
   * session.presence.show({ typing: true })
   */
  show(state: PresenceState): void {
    if (this.#ended !== undefined) throw this.#ended
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

  ended(error: ParleyError): void {
    this.#ended = error
    this.lost()
  }

  #update(view: PresenceView): void {
    this.#view = view
    this.#listeners.notify()
  }
}
