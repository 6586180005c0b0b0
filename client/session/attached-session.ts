// AttachedSession: the stateful shell around a session's view. On each connection it attaches at the view's cursor. If
// the view cannot continue, it replays the session from its beginning.
import type {
  Command,
  Content,
  EntryFrame,
  ErrorFrame,
  FormContent,
  Ok,
  QuestionAction,
  Seen,
  ServerFrame,
} from '@parley/protocol'
import { isAfter } from '@parley/protocol/position'
import { backoff, type ReconnectPolicy } from '../backoff.ts'
import { bindMethods } from '../bind-methods.ts'
import type { Connection } from '../connection/connection.ts'
import { given } from '../given.ts'
import { Listeners } from '../listeners.ts'
import { makeId } from '../make-id.ts'
import { GapError, ParleyError, reasonOf, refusal } from '../parley-error.ts'
import { applyEntry, startOver } from './apply-entry.ts'
import { withTurns } from './branch.ts'
import { LoadingToolRunner } from './loading-tool-runner.ts'
import { OfferedTools } from './offered-tools.ts'
import { Reply, type Watcher } from './reply.ts'
import { isEnded } from './run-view.ts'
import { type SendOptions, sendFrame } from './send-frame.ts'
import type { ClientTool, Session } from './session.ts'
import { type PresenceState, SessionPresence } from './session-presence.ts'
import { type Delay, type MessageView, newSession, type SessionView } from './session-view.ts'

export interface SessionOptions {
  /** The tools that the model may run on this machine while this client is attached. */
  readonly tools?: readonly ClientTool[]
  /**
   * The cursor at which reading starts; default: the beginning of the session. A run that it cuts arrives from its
   * beginning.
   */
  readonly after?: string
}

type SessionCommand = Command extends infer T ? (T extends Command ? Omit<T, 'id' | 'session'> : never) : never

/** Consecutive replays from the beginning because of gaps. After more, the session fails. */
const MAX_GAPS = 3
const ATTACH_RETRY: ReconnectPolicy = { baseMs: 500, maxMs: 15_000 }

export class AttachedSession implements Session {
  readonly id: string
  /** The connected members. */
  readonly presence: SessionPresence
  readonly #connection: Connection
  readonly #listeners = new Listeners()
  readonly #watchers = new Set<Watcher>()
  readonly #tools: OfferedTools
  readonly #runner: LoadingToolRunner
  readonly #onClose: () => void
  #state: SessionView
  #notified: SessionView
  /** The id of the current attach. Frames before its `attached` belong to an earlier one. */
  #attach: string | undefined
  /** It has been attached before, over this or an earlier connection. */
  #hasRead = false
  #gapCount = 0
  #attachAttempts = 0
  #cancelRetry: (() => void) | undefined
  #closed: ParleyError | undefined

  /** Created by `client.session(id)`. */
  constructor(connection: Connection, id: string, options: SessionOptions, onClose: () => void) {
    bindMethods<AttachedSession>(this, AttachedSession.prototype)
    this.id = id
    this.#connection = connection
    this.#tools = new OfferedTools(options.tools ?? [], () => this.#declare())
    this.#state = newSession(id, options.after)
    this.#notified = this.#state
    this.#onClose = onClose
    this.presence = new SessionPresence((state) => connection.post({ type: 'presence', session: id, state }))
    this.#runner = new LoadingToolRunner(this, connection, this.#tools.list)
    if (connection.state.status === 'open') this.opened()
  }

  get state(): SessionView {
    return this.#state
  }

  getSnapshot(): SessionView {
    return this.#state
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  send(content: Content, options: SendOptions = {}): Reply {
    this.#assertOpen()
    const id = options.id ?? makeId('msg')
    const { chosen: before } = this.#state
    const { frame, pending } = sendFrame(this.#state, id, content, options, this.#connection.serverTime)
    // A message that was sent before may be in the log already, and then is not pending.
    const isShown = options.id !== undefined && this.#state.messages.some((message) => message.id === id)
    if (!isShown) {
      // The view follows the message that is sent, in whichever branch it is.
      this.#state = withTurns({ ...this.#state, chosen: undefined, pending: [...this.#state.pending, pending] })
    }
    const answer = this.#command(frame)
    const reply = new Reply(this, id, answer)
    answer.catch(() => {
      const { pending: sent, chosen } = this.#state
      const remaining = sent.filter((other) => other.id !== id)
      // Returns to the branch in which the message was written.
      this.#state = withTurns({ ...this.#state, pending: remaining, chosen: chosen ?? before })
      this.#notify()
    })
    this.#notify()
    return reply
  }

  redirect(content: Content, options: Omit<SendOptions, 'policy'> = {}): Reply {
    const seen = this.#seen(this.#state.activeRun)
    return this.send(content, { ...given({ seen }), ...options, policy: 'interrupt' })
  }

  edit(message: string, content: Content, options: Omit<SendOptions, 'policy' | 'parent'> = {}): Reply {
    this.#assertOpen()
    const { parent, model, agent, context } = this.#message(message)
    if (parent === undefined) {
      const problem = `The message before ${message} is unknown. Open the session without \`after\`.`
      throw new ParleyError('parent_not_found', problem)
    }
    return this.redirect(content, { ...given({ model, agent, context }), ...options, parent })
  }

  regenerate(message: string, options: Omit<SendOptions, 'policy' | 'parent'> = {}): Reply {
    this.#assertOpen()
    return this.edit(message, [...this.#message(message).content], options)
  }

  choose(message: string): void {
    const { turns, pending } = this.#state
    if (!pending.some(({ id }) => id === message)) this.#message(message)
    // A message that is already shown does not change the branch.
    if (turns.some((turn) => turn.message.id === message)) return
    this.#update({ chosen: message })
  }

  async cancel(run: string | undefined = this.#state.activeRun): Promise<void> {
    const seen = this.#seen(run)
    await this.#command({ type: 'cancel', run, seen })
  }

  async decide(call: string, decision: 'approve' | 'deny', reason?: string): Promise<void> {
    await this.#command({ type: 'tool.decide', call, decision, reason })
  }

  async answer(call: string, question: string, action: QuestionAction, content?: FormContent): Promise<void> {
    await this.#command({ type: 'tool.answer', call, question, action, content })
  }

  show(state: PresenceState): void {
    this.presence.show(state)
  }

  addTool(tool: ClientTool): () => void {
    return this.#tools.add(tool)
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return
    this.#detach()
    const error = new ParleyError('closed', `Session ${this.id} was closed. Open it again with client.session(id).`)
    this.#fail(error)
  }

  // The rest is for the client and for code that builds on the session.

  /** @returns a function that removes the watcher */
  watch(watcher: Watcher): () => void {
    if (this.#closed !== undefined) {
      watcher.ended?.(this.#closed)
      return () => undefined
    }
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  /** A connection has opened: attach. @param isNew whether the connection is another one than at the last call */
  opened(isNew = true): void {
    this.#cancelRetry?.()
    this.#attach = makeId('att')
    const tools = this.#tools.declarations()
    const { cursor, activeRun } = this.#state
    const resume = this.#hasRead && isNew ? this.#connection.resumption(activeRun !== undefined) : undefined
    this.#connection.post({
      type: 'attach',
      id: this.#attach,
      session: this.id,
      merge: true,
      after: cursor,
      tools: tools.length === 0 ? undefined : tools,
      resume,
    })
    this.#update({ status: 'attaching', error: undefined })
  }

  lost(): void {
    this.#cancelRetry?.()
    this.#attach = undefined
    this.presence.lost()
    this.#update({ status: 'offline' })
  }

  ended(error: ParleyError): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#cancelRetry?.()
    this.presence.ended(error)
    this.#runner.close(error)
    for (const watcher of [...this.#watchers]) watcher.ended?.(error)
    this.#watchers.clear()
    this.#update({ status: 'offline', error })
  }

  /** The server postponed a command of this session. */
  delayed(command: string, delayed: Delay): void {
    const { pending } = this.#state
    if (!pending.some(({ id }) => id === command)) return
    this.#update({ pending: pending.map((each) => (each.id === command ? { ...each, delayed } : each)) })
  }

  /** Applies a frame of this session. `flush` then notifies the listeners once for all frames of a message. */
  frame(frame: ServerFrame): void {
    const { status } = this.#state
    if (frame.type === 'attached') this.#onAttached(frame.id, frame.reset === true, frame.role)
    else if (status !== 'replaying' && status !== 'live') return
    else if (frame.type === 'entry') this.#entry(frame)
    else if (frame.type === 'live') this.#live(frame.cursor)
    else if (frame.type === 'presence') this.presence.frame(frame)
  }

  /** @returns whether the error answers this session's attach, or ends the access to this session */
  refused(frame: ErrorFrame): boolean {
    const isOwn = frame.id === undefined ? frame.session === this.id : frame.id === this.#attach
    if (!isOwn) return false
    if (frame.code === 'invalid_cursor') {
      this.#startOver()
      this.opened()
      return true
    }
    const error = refusal(frame)
    this.#update({ status: 'offline', error })
    if (!frame.retryable) {
      this.#fail(error)
      return true
    }
    this.#attachAttempts += 1
    const wait = frame.retryAfterMs ?? backoff(ATTACH_RETRY, this.#attachAttempts, this.#connection.clock.random())
    this.#cancelRetry = this.#connection.clock.after(wait, () => this.opened())
    return true
  }

  flush(): void {
    if (this.#notified !== this.#state) this.#notify()
  }

  #onAttached(id: string, reset: boolean, role: string): void {
    if (id !== this.#attach) return
    this.#hasRead = true
    this.#attachAttempts = 0
    if (reset) this.#startOver()
    this.#update({ status: 'replaying', role })
    this.presence.attached()
  }

  #entry(frame: EntryFrame): void {
    const before = this.#state
    let after: SessionView
    try {
      after = applyEntry(before, frame)
    } catch (error) {
      // An error other than a gap is an event of the wrong shape. The view does not include any part of it.
      this.#gap(error instanceof GapError ? error : new ParleyError('invalid_frame', reasonOf(error)))
      return
    }
    if (after === before) return
    this.#state = after
    for (const watcher of [...this.#watchers]) watcher.entry?.(frame, after, before)
    this.#runner.entry(frame, after)
    if (after.status === 'live') this.#gapCount = 0
  }

  #live(cursor: string): void {
    const { cursor: current } = this.#state
    const isAhead = current === undefined || isAfter(cursor, current)
    this.#update({ status: 'live', ...(isAhead ? { cursor } : {}) })
    this.#runner.live(this.#state)
  }

  /** An entry does not follow the view. Showing it would be wrong, so the session is replayed from its beginning. */
  #gap(error: ParleyError): void {
    this.#gapCount += 1
    const fields = { session: this.id, code: error.code }
    this.#connection.logger?.warn(fields, 'log entry does not follow the view, replaying the session')
    this.#detach()
    if (this.#gapCount > MAX_GAPS) {
      this.#fail(error)
      return
    }
    this.#startOver()
    this.opened()
  }

  #startOver(): void {
    this.#state = startOver(this.#state)
    for (const watcher of [...this.#watchers]) watcher.reset?.()
  }

  #seen(id: string | undefined): Seen | undefined {
    const run = id === undefined ? undefined : this.#state.runs.get(id)
    return run === undefined || isEnded(run) ? undefined : { run: run.id, index: run.next - 1 }
  }

  #message(id: string): MessageView {
    const message = this.#state.messages.find((candidate) => candidate.id === id)
    if (message === undefined) throw new ParleyError('parent_not_found', `The session has no such message: ${id}`)
    return message
  }

  #declare(): void {
    if (this.#closed !== undefined) return
    this.#runner.setTools(this.#tools.list)
    if (this.#attach !== undefined) this.opened(false)
  }

  /** @param command with an id of its own if it may be sent again */
  async #command(command: SessionCommand): Promise<Ok> {
    this.#assertOpen()
    return this.#connection.command({ id: makeId('cmd'), session: this.id, ...command })
  }

  #detach(): void {
    this.#connection.post({ type: 'detach', id: makeId('cmd'), session: this.id })
  }

  /** A closed session sends nothing, so a command must not be lost silently. @throws ParleyError why it has ended */
  #assertOpen(): void {
    if (this.#closed !== undefined) throw this.#closed
  }

  /** Ends the session: its unanswered commands reject. */
  #fail(error: ParleyError): void {
    const dropped = this.#connection.failSession(this.id, error)
    if (dropped > 0) {
      const fields = { session: this.id, code: error.code, commands: dropped }
      this.#connection.logger?.warn(fields, 'session ended with unanswered commands')
    }
    this.#onClose()
    this.ended(error)
  }

  #update(change: Partial<SessionView>): void {
    // After a replay, `turns` may be out of date.
    this.#state = withTurns({ ...this.#state, ...change })
    this.#notify()
  }

  #notify(): void {
    this.#notified = this.#state
    this.#listeners.notify()
  }
}
