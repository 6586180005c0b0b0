// Session: one session as a program sees and changes it. Made by `client.session(id)`.
import type { Content } from '@parley/protocol'
import type { Reply, Watcher } from './reply.ts'
import type { SendOptions } from './send-frame.ts'
import type { PresenceState, SessionPresence } from './session-presence.ts'
import type { SessionView } from './session-view.ts'

export interface Session {
  readonly id: string
  /** Who is here now. */
  readonly presence: SessionPresence
  /** Immutable: another object after each change. */
  readonly state: SessionView

  /** @returns a function that unsubscribes */
  subscribe(listener: () => void): () => void

  /** Calls the watcher with each entry that changes the view. @returns a function that ends it */
  watch(watcher: Watcher): () => void

  /** Sends a message. The client repeats it, with the same id, until the server has it. */
  send(content: Content, options?: SendOptions): Reply

  /** Interrupts the active run and sends this message instead. The model is told how much of the run was seen. */
  redirect(content: Content, options?: Omit<SendOptions, 'policy'>): Reply

  /**
   * Sends another version of an earlier message, with that message's model, agent and context. The active run is interrupted.
   * @throws ParleyError parent_not_found, for a message whose place is not known
   */
  edit(message: string, content: Content, options?: Omit<SendOptions, 'policy' | 'parent'>): Reply

  /** Answers a message once more, perhaps by another model. @throws ParleyError as `edit` */
  regenerate(message: string, options?: Omit<SendOptions, 'policy' | 'parent'>): Reply

  /**
   * Shows the branch of a message, up to the newest that goes on from it; what is sent then goes on there. Only here: nobody
   * else is told.
   * @throws ParleyError parent_not_found
   */
  choose(message: string): void

  /**
   * Ends a run, by default the active one. When it resolves, nothing more of the run will be seen.
   * @throws ParleyError no_active_run, run_not_found, forbidden
   */
  cancel(run?: string): Promise<void>

  /**
   * Decides about a call that waits for a person.
   * @throws ParleyError already_decided, call_not_found, call_ended, approval_not_needed
   */
  decide(call: string, decision: 'approve' | 'deny', reason?: string): Promise<void>

  /** Shows the others a state, such as that somebody writes; again after each connection. `{}` takes it back. */
  show(state: PresenceState): void

  /** Leaves the session; its state stays as it is. What was not answered yet is rejected. */
  close(): Promise<void>
}
