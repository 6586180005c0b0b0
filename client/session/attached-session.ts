// AttachedSession: the shell around a session's view. It attaches on each connection at the view's cursor, and replays the
// session from its beginning when the view cannot be continued.
import type { Content, EntryFrame, ErrorFrame, Ok, Seen, ServerFrame, Tool } from '@parley/protocol'
import { makeId } from '@parley/protocol/make-id'
import { isAfter } from '@parley/protocol/position'
import type { ReconnectPolicy } from '../backoff.ts'
import { backoff } from '../backoff.ts'
import type { Connection } from '../connection/connection.ts'
import { Listeners } from '../listeners.ts'
import { GapError, ParleyError } from '../parley-error.ts'
import { applyEntry, startOver } from './apply-entry.ts'
import { withTurns } from './branch.ts'
import { Reply, type Watcher } from './reply.ts'
import { isEnded } from './run-view.ts'
import { type SendOptions, sendFrame } from './send-frame.ts'
import type { Session } from './session.ts'
import { type PresenceState, SessionPresence } from './session-presence.ts'
import { type Delay, type MessageView, newSession, type SessionView } from './session-view.ts'
import { type ClientTool, declaration } from './tool.ts'
import { ToolRunner } from './tool-runner.ts'

export interface SessionOptions {
  /** What the model may have done on this machine, while this client is attached. */
  readonly tools?: readonly ClientTool[]
  /** Where to begin; left out: at the session's beginning. A run that is cut by it comes from the beginning too. */
  readonly after?: string
}

/** How often in a row a view is begun anew because what came did not fit. */
const MAX_GAPS = 3
const ATTACH_RETRY: ReconnectPolicy = { baseMs: 500, maxMs: 15_000 }

export class AttachedSession implements Session {
  readonly id: string
  /** Who is here now. */
  readonly presence: SessionPresence
  readonly #connection: Connection
  readonly #listeners = new Listeners()
  readonly #watchers = new Set<Watcher>()
  readonly #tools: readonly ClientTool[]
  readonly #runner: ToolRunner
  readonly #onClose: () => void
  #state: SessionView
  #told: SessionView
  /** The attach that this connection was asked for; what comes before its `attached` is of an earlier one. */
  #attach: string | undefined
  #attached = false
  /** It was attached, over this connection or one before. */
  #hasRead = false
  #gaps = 0
  #attachTries = 0
  #cancelRetry: (() => void) | undefined
  #closed: ParleyError | undefined

  /** Made by `client.session(id)`. */
  constructor(connection: Connection, id: string, options: SessionOptions, onClose: () => void) {
    this.id = id
    this.#connection = connection
    this.#tools = options.tools ?? []
    this.#state = newSession(id, options.after)
    this.#told = this.#state
    this.#onClose = onClose
    this.presence = new SessionPresence((state) => connection.post({ type: 'presence', session: id, state }))
    this.#runner = new ToolRunner(this, connection, this.#tools)
    if (connection.state.status === 'open') this.opened()
  }

  get state(): SessionView {
    return this.#state
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  send(content: Content, options: SendOptions = {}): Reply {
    const id = options.id ?? makeId('msg')
    const { chosen: before } = this.#state
    const { frame, pending } = sendFrame(this.#state, id, content, options, this.#connection.clock.now())
    // One that was sent before may be in the log already: then it waits for nothing.
    const isShown = options.id !== undefined && this.#state.messages.some((message) => message.id === id)
    if (!isShown) {
      // What is sent is shown, in whatever branch.
      this.#state = withTurns({ ...this.#state, chosen: undefined, pending: [...this.#state.pending, pending] })
    }
    const answer = this.#command(frame)
    const reply = new Reply(this, id, answer)
    answer.catch(() => {
      const { pending: sent, chosen } = this.#state
      const left = sent.filter((other) => other.id !== id)
      // Back to where it was written.
      this.#state = withTurns({ ...this.#state, pending: left, chosen: chosen ?? before })
      this.#notify()
    })
    this.#notify()
    return reply
  }

  redirect(content: Content, options: Omit<SendOptions, 'policy'> = {}): Reply {
    const seen = this.#seen(this.#state.activeRun)
    return this.send(content, {
      ...(seen === undefined ? {} : { seen }),
      ...options,
      policy: 'interrupt',
    })
  }

  edit(message: string, content: Content, options: Omit<SendOptions, 'policy' | 'parent'> = {}): Reply {
    const { parent, model, agent, context } = this.#message(message)
    if (parent === undefined) throw new ParleyError('parent_not_found', 'What comes before the message is not known.')
    return this.redirect(content, {
      ...(model === undefined ? {} : { model }),
      ...(agent === undefined ? {} : { agent }),
      ...(context === undefined ? {} : { context }),
      ...options,
      parent,
    })
  }

  regenerate(message: string, options: Omit<SendOptions, 'policy' | 'parent'> = {}): Reply {
    return this.edit(message, [...this.#message(message).content], options)
  }

  choose(message: string): void {
    const { turns, pending } = this.#state
    if (!pending.some(({ id }) => id === message)) this.#message(message)
    // One that is shown already is no choice to go elsewhere.
    if (turns.some((turn) => turn.message.id === message)) return
    this.#become({ chosen: message })
  }

  async cancel(run: string | undefined = this.#state.activeRun): Promise<void> {
    const seen = this.#seen(run)
    await this.#command({
      type: 'cancel',
      id: makeId('can'),
      session: this.id,
      ...(run === undefined ? {} : { run }),
      ...(seen === undefined ? {} : { seen }),
    })
  }

  async decide(call: string, decision: 'approve' | 'deny', reason?: string): Promise<void> {
    await this.#command({
      type: 'tool.decide',
      id: makeId('dec'),
      session: this.id,
      call,
      decision,
      ...(reason === undefined ? {} : { reason }),
    })
  }

  show(state: PresenceState): void {
    this.presence.show(state)
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return
    this.#connection.post({
      type: 'detach',
      id: makeId('det'),
      session: this.id,
    })
    const error = new ParleyError('closed', 'The session was closed.')
    this.#connection.failSession(this.id, error)
    this.#onClose()
    this.ended(error)
  }

  // What follows is for the client and for what is built on the session.

  /** @returns a function that ends it */
  watch(watcher: Watcher): () => void {
    if (this.#closed !== undefined) {
      watcher.ended(this.#closed)
      return () => undefined
    }
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  /** There is a connection. */
  opened(): void {
    this.#cancelRetry?.()
    this.#attach = makeId('att')
    this.#attached = false
    const tools: readonly Tool[] = this.#tools.map(declaration)
    const { cursor, activeRun } = this.#state
    const resume = this.#hasRead ? this.#connection.resumption(activeRun !== undefined) : undefined
    this.#connection.post({
      type: 'attach',
      id: this.#attach,
      session: this.id,
      merge: true,
      ...(cursor === undefined ? {} : { after: cursor }),
      ...(tools.length === 0 ? {} : { tools: [...tools] }),
      ...(resume === undefined ? {} : { resume }),
    })
    this.#become({ status: 'attaching', error: undefined })
  }

  lost(): void {
    this.#cancelRetry?.()
    this.#attach = undefined
    this.#attached = false
    this.presence.lost()
    this.#become({ status: 'offline' })
  }

  ended(error: ParleyError): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#cancelRetry?.()
    this.#attached = false
    this.presence.lost()
    this.#runner.close()
    for (const watcher of [...this.#watchers]) watcher.ended(error)
    this.#watchers.clear()
    this.#become({ status: 'offline', error })
  }

  /** A command of this session was put off. */
  delayed(command: string, delayed: Delay): void {
    const { pending } = this.#state
    if (!pending.some(({ id }) => id === command)) return
    this.#become({ pending: pending.map((each) => (each.id === command ? { ...each, delayed } : each)) })
  }

  /** A frame that names this session. Listeners are told by `flush`, once for all frames of a message. */
  frame(frame: ServerFrame): void {
    if (frame.type === 'attached') this.#onAttached(frame.id, frame.reset === true, frame.role)
    else if (!this.#attached) return
    else if (frame.type === 'entry') this.#entry(frame)
    else if (frame.type === 'live') this.#live(frame.cursor)
    else if (frame.type === 'presence') this.presence.frame(frame)
  }

  /** @returns whether the error answers this session's attach, or says that the session is read no more */
  refused(frame: ErrorFrame): boolean {
    const isOwn = frame.id === undefined ? frame.session === this.id : frame.id === this.#attach
    if (!isOwn) return false
    if (frame.code === 'invalid_cursor') {
      this.#startOver()
      this.opened()
      return true
    }
    const error = new ParleyError(frame.code, frame.message, frame.retryable, frame.retryAfterMs)
    this.#become({ status: 'offline', error })
    if (!frame.retryable) {
      this.#connection.failSession(this.id, error)
      this.#onClose()
      this.ended(error)
      return true
    }
    this.#attachTries += 1
    const wait = frame.retryAfterMs ?? backoff(ATTACH_RETRY, this.#attachTries, this.#connection.clock.random())
    this.#cancelRetry = this.#connection.clock.after(wait, () => this.opened())
    return true
  }

  flush(): void {
    if (this.#told !== this.#state) this.#notify()
  }

  #onAttached(id: string, reset: boolean, role: string): void {
    if (id !== this.#attach) return
    this.#attached = true
    this.#hasRead = true
    this.#attachTries = 0
    if (reset) this.#startOver()
    this.#become({ status: 'replaying', role })
    this.presence.attached()
  }

  #entry(frame: EntryFrame): void {
    const before = this.#state
    let after: SessionView
    try {
      after = applyEntry(before, frame)
    } catch (error) {
      const { message } = error as Error
      // Not a gap: an event that is not the shape its type asks for. Nothing of it is in the view either.
      this.#gap(error instanceof GapError ? error : new ParleyError('invalid_frame', message))
      return
    }
    if (after === before) return
    this.#state = after
    for (const watcher of [...this.#watchers]) watcher.entry(frame, after, before)
    this.#runner.entry(frame, after)
    if (after.status === 'live') this.#gaps = 0
  }

  #live(cursor: string): void {
    const { cursor: held } = this.#state
    const further = held === undefined || isAfter(cursor, held)
    this.#become({ status: 'live', ...(further ? { cursor } : {}) })
    this.#runner.live(this.#state)
  }

  /** What came cannot be put to what is held without showing something wrong: begin from the beginning. */
  #gap(error: ParleyError): void {
    this.#gaps += 1
    this.#connection.logger?.warn({ session: this.id, code: error.code }, 'what came does not fit what is held')
    this.#connection.post({
      type: 'detach',
      id: makeId('det'),
      session: this.id,
    })
    if (this.#gaps > MAX_GAPS) {
      this.#connection.failSession(this.id, error)
      this.#onClose()
      this.ended(error)
      return
    }
    this.#startOver()
    this.opened()
  }

  #startOver(): void {
    this.#state = startOver(this.#state)
    for (const watcher of [...this.#watchers]) watcher.reset()
  }

  #seen(id: string | undefined): Seen | undefined {
    const run = id === undefined ? undefined : this.#state.runs.get(id)
    return run === undefined || isEnded(run) ? undefined : { run: run.id, index: run.next - 1 }
  }

  #message(id: string): MessageView {
    const message = this.#state.messages.find((candidate) => candidate.id === id)
    if (message === undefined) throw new ParleyError('parent_not_found', 'The session has no such message.')
    return message
  }

  async #command(frame: Parameters<Connection['command']>[0]): Promise<Ok> {
    if (this.#closed !== undefined) throw this.#closed
    return this.#connection.command(frame)
  }

  #become(change: Partial<SessionView>): void {
    // A replay that is over, or was cut, may have left turns to be looked for.
    this.#state = withTurns({ ...this.#state, ...change })
    this.#notify()
  }

  #notify(): void {
    this.#told = this.#state
    this.#listeners.notify()
  }
}
