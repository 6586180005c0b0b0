// Session: the public interface of one session, which `client.session(id)` creates, and of the tools that it offers.
import type { Content, FormContent, JsonSchema, QuestionAction } from '@parley/protocol'
import type { Reply, Watcher } from './reply.ts'
import type { SendOptions } from './send-frame.ts'
import type { PresenceState, SessionPresence } from './session-presence.ts'
import type { SessionView } from './session-view.ts'

/**
 * One session. All methods are bound: they can be passed on and destructured.
 * @example
 * const session = client.session('trip')
 * const { text } = await session.send('Plan a weekend in Bern').result()
 */
export interface Session {
  readonly id: string
  /** The connected members. */
  readonly presence: SessionPresence
  /** The session's content. Immutable: each change creates another object. */
  readonly state: SessionView

  /**
   * `state`, as a function for stores such as React's `useSyncExternalStore`.
   * @example
   * const view = useSyncExternalStore(session.subscribe, session.getSnapshot)
   */
  readonly getSnapshot: () => SessionView

  /**
   * Calls the listener after each change of `state`.
   * @returns a function that unsubscribes
   * @example
   * const unsubscribe = session.subscribe(() => {
   *   for (const { message, run } of session.state.turns) console.log(message.text, run?.text)
   * })
   */
  readonly subscribe: (listener: () => void) => () => void

  /**
   * Calls the watcher for each entry that changes the view.
   * @returns a function that removes the watcher
   * @example
   * const unwatch = session.watch({
   *   entry: ({ event }) => console.log(event.type),
   *   reset: () => console.log('the log arrives again from its beginning'),
   *   ended: (error) => console.log(error.code),
   * })
   */
  watch(watcher: Watcher): () => void

  /**
   * Sends a message: a text, or a list of text and file parts. The client repeats it with the same id until the server
   * has stored it, so it takes effect once.
   * @throws ParleyError closed, or why the session has ended: then nothing is sent
   * @example
   * const reply = session.send('Hello', { policy: 'steer' })
   * const { run } = await reply.accepted
   */
  send(content: Content, options?: SendOptions): Reply

  /**
   * Interrupts the active run and sends this message instead. The model learns how much of the run was seen.
   * @throws ParleyError as `send`
   * @example
   * session.send('Tell me a long story')
   * const { status } = await session.redirect('Rather a short one').result()
   */
  redirect(content: Content, options?: Omit<SendOptions, 'policy'>): Reply

  /**
   * Sends a new version of an earlier message, with that message's model, agent and context. Interrupts the active run.
   * @throws ParleyError parent_not_found, if the message or its position is unknown; as `send`
   * @example
   * const { message } = await session.send('A weekend in Bern').accepted
   * const run = await session.edit(message, 'A weekend in Basel').result()
   */
  edit(message: string, content: Content, options?: Omit<SendOptions, 'policy' | 'parent'>): Reply

  /**
   * Sends a message again, for example to another model.
   * @throws ParleyError as `edit`
   * @example
   * const { message } = await session.send('A weekend in Bern').accepted
   * await session.regenerate(message).result()
   */
  regenerate(message: string, options?: Omit<SendOptions, 'policy' | 'parent'>): Reply

  /**
   * Shows the branch of a message, up to its newest message. Later messages continue this branch. The choice is local
   * to this client.
   * @throws ParleyError parent_not_found
   * @example
   * const { message } = await session.send('A weekend in Bern').accepted
   * await session.edit(message, 'A weekend in Basel').result()
   * // Back to the first version and its answer:
   * session.choose(message)
   */
  choose(message: string): void

  /**
   * Ends a run, by default the active one. After it resolves, no more output of the run arrives.
   * @throws ParleyError no_active_run, run_not_found, forbidden, closed
   * @example
   * const reply = session.send('Tell me a long story')
   * const { run } = await reply.accepted
   * await session.cancel(run)
   * const { status } = await reply.result() // 'cancelled'
   */
  cancel(run?: string): Promise<void>

  /**
   * Approves or denies a call that waits for a decision. The model receives the reason.
   * @throws ParleyError already_decided, call_not_found, call_ended, approval_not_needed, closed
   * @example
   * session.subscribe(() => {
   *   for (const call of session.state.calls.values()) {
   *     if (call.status === 'deciding') session.decide(call.id, 'deny', 'Not today.').catch(console.error)
   *   }
   * })
   */
  decide(call: string, decision: 'approve' | 'deny', reason?: string): Promise<void>

  /**
   * Answers a question that a running tool asks. `content` has the values of the form, with `accept` only. `decline` refuses to
   * answer; `cancel` leaves the choice open.
   * @throws ParleyError invalid_answer, question_closed, question_not_found, call_not_found, call_ended, closed
   * @example
   * session.subscribe(() => {
   *   for (const call of session.state.calls.values()) {
   *     const question = openQuestion(call)
   *     if (question !== undefined) session.answer(call.id, question.id, 'accept', { size: 'M' }).catch(console.error)
   *   }
   * })
   */
  answer(call: string, question: string, action: QuestionAction, content?: FormContent): Promise<void>

  /**
   * Shows other members a state such as `{ typing: true }`. The client repeats it after each reconnect. `{}` clears it.
   * @throws ParleyError closed, or why the session has ended
   * @example
   * session.show({ typing: true })
   */
  show(state: PresenceState): void

  /**
   * Offers one more tool, which replaces one with the same name. The session attaches again to declare it. In a session
   * that has ended this has no effect.
   * @returns a function that removes the tool, and aborts its running calls
   * @example
   * const remove = session.addTool({ name: 'page_title', execute: () => document.title })
   */
  addTool(tool: ClientTool): () => void

  /**
   * Leaves the session. Its state remains readable. Unanswered commands reject with code `closed`, and later ones throw
   * it: wait for `reply.accepted` before you close. `client.session(id)` opens the session again, as another object.
   * @example
   * await session.send('Goodbye').accepted
   * await session.close()
   */
  close(): Promise<void>
}

export interface ToolContext {
  /** Aborts when the call is no longer this client's: its run ended, the claim was lost, or the session closes. */
  readonly signal: AbortSignal
  /** The call's id. It is constant across retries, so it can serve as an idempotency key. */
  readonly call: string
  readonly session: Session
}

/** A tool of this client. Its output is any JSON value. */
export interface ClientTool<Input = unknown, Output = unknown> {
  readonly name: string
  readonly description?: string
  /** JSON Schema of the input; default: any object. The server and this client refuse inputs that do not match. */
  readonly inputSchema?: JsonSchema
  /** JSON Schema of the output. The server validates outputs with it. */
  readonly outputSchema?: JsonSchema
  /**
   * Whether a person must approve each call (`session.decide`) before it runs on this device, even if other devices declare the
   * tool without approval.
   */
  readonly approval?: boolean
  /** Timeout of a call, in milliseconds. */
  readonly timeoutMs?: number
  /** Runs a call. If it throws, the model receives the error’s message. */
  execute(input: Input, context: ToolContext): Output | Promise<Output>
}
