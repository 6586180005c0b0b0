// HttpTransport: a transport of HTTP requests. A feed reads each session; commands are posted, one at a time per
// session. The answer to a command that ends a run is delivered only after everything up to the end of the run.
import type { Attach, ClientFrame, ServerFrame, SetPresence, Welcome } from '@parley/protocol'
import { NOT_AUTHENTICATED } from '@parley/protocol/close-code'
import { acquireStream, isHidden, MAX_COMMANDS, MAX_READERS, onHide } from '#platform'
import { httpUrl } from '../../client-options.ts'
import { reasonOf } from '../../parley-error.ts'
import { Semaphore } from '../../semaphore.ts'
import type { Door } from '../door.ts'
import { hasFields } from '../frame-codec.ts'
import { wireName } from '../resumption.ts'
import {
  ABNORMAL,
  type Loss,
  type LossKind,
  type Transport,
  type TransportHandler,
  type TransportOptions,
} from '../transport.ts'
import { errorOf, isFinal, okOf, type PostedCommand, requestOf, sessionPath } from './command-request.ts'
import { type HttpAnswer, type HttpCall, HttpCaller } from './http-caller.ts'
import { HttpFailure } from './http-failure.ts'
import { type FeedPorts, SessionFeed } from './session-feed.ts'

/** Timeout of a command, in milliseconds. */
const COMMAND_MS = 20_000
/** Timeout of a presence request, in milliseconds. Commands wait for it. */
const PRESENCE_MS = 3_000
/** Timeout of the last request, in milliseconds. */
const DELETE_MS = 2_000

interface Attachment {
  readonly feed: SessionFeed
  readonly attach: Attach
}

export class HttpTransport implements Transport {
  readonly #kind: Door
  readonly #options: TransportOptions
  readonly #handler: TransportHandler
  readonly #caller: HttpCaller
  readonly #readerSlots = new Semaphore(MAX_READERS)
  readonly #commandSlots = new Semaphore(MAX_COMMANDS)
  readonly #attachments = new Map<string, Attachment>()
  /** By session, the last request; the next one waits for it. */
  readonly #chains = new Map<string, Promise<void>>()
  /** By session, the presence state. */
  readonly #presence = new Map<string, { readonly state: SetPresence['state']; isUnsent: boolean }>()
  readonly #unsubscribeHide: () => void
  /** Commands without an answer for long. */
  #starvedCommands = 0
  #welcome: Welcome | undefined
  #closed = false

  constructor(kind: Exclude<Door, 'websocket'>, options: TransportOptions, handler: TransportHandler) {
    this.#kind = kind
    this.#options = options
    this.#handler = handler
    this.#caller = new HttpCaller({ ...options, url: httpUrl(options.url), readsOver: wireName(kind) })
    this.#unsubscribeHide = onHide(() => this.#releaseStreams())
    this.#open().catch((error: unknown) => this.#onError(error, 'unreachable'))
  }

  send(frame: ClientFrame): void {
    if (this.#closed) return
    switch (frame.type) {
      case 'attach':
        this.#attach(frame)
        break
      case 'detach':
        this.#detach(frame.session)
        break
      case 'ping':
        for (const { feed } of this.#attachments.values()) feed.check()
        break
      case 'presence':
        this.#setPresence(frame.session, frame.state)
        break
      case 'hello':
      case 'token':
        // Each request authenticates itself.
        break
      default:
        void this.#enqueue(frame.session, () => this.#post(frame))
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#unsubscribeHide()
    for (const { feed } of this.#attachments.values()) feed.close()
    this.#caller.close()
  }

  releaseTools(): void {
    const attachments = [...this.#attachments]
    this.#attachments.clear()
    for (const [session, { attach }] of attachments) if (hasTools(attach)) void this.#deleteConnection(session)
  }

  renew(): void {
    this.#caller.renew()
  }

  async #open(): Promise<void> {
    const { body } = await this.#caller.json({ method: 'GET', path: '/v1/hello', timeoutMs: COMMAND_MS })
    if (!isWelcome(body)) throw new HttpFailure('intermediary', 'The answer to GET /v1/hello is not from Parley.')
    this.#welcome = body
    // The feeds detect silent streams themselves.
    this.#deliver([{ ...body, heartbeatMs: 0 }])
  }

  /** @param kind of the loss, unless the server has refused the request */
  #onError(error: unknown, kind: LossKind): void {
    const failure = error instanceof HttpFailure ? error : undefined
    this.#fail({
      kind: failure?.kind === 'problem' ? 'by-server' : kind,
      code: codeOf(failure),
      reason: reasonOf(error),
      foreign: failure?.kind === 'intermediary',
      retryAfterMs: failure?.retryAfterMs,
    })
  }

  #attach(attach: Attach): void {
    const { session } = attach
    const before = this.#attachments.get(session)
    const waiters = before?.feed.close() ?? []
    const isAboutTools = hasTools(attach) || (before !== undefined && hasTools(before.attach))
    // The tools come first: while a session is being read, the server keeps the earlier declaration.
    const declared = isAboutTools ? this.#declare(attach) : undefined
    const feed = new SessionFeed(attach, this.#feedPorts(), declared)
    this.#attachments.set(session, { feed, attach })
    for (const { cursor, callback } of waiters) feed.whenReached(cursor, callback)
  }

  #feedPorts(): FeedPorts {
    const { clock, policy, reconnect } = this.#options
    const { heartbeatMs = 0 } = this.#welcome ?? {}
    return {
      caller: this.#caller,
      clock,
      policy,
      reconnect,
      acquire: () => this.#acquireReader(),
      usesStream: this.#kind === 'sse',
      kind: this.#kind,
      heartbeatMs,
      frames: (frames) => this.#deliver(frames),
      lost: (loss) => this.#fail(loss),
      resumed: (session) => {
        const attach = this.#attachments.get(session)?.attach
        if (attach !== undefined && hasTools(attach)) void this.#declare(attach)
        this.#repeatPresence(session)
      },
    }
  }

  async #acquireReader(): Promise<(() => void) | undefined> {
    if (!this.#mayRead() || !this.#readerSlots.tryAcquire()) return undefined
    const release = await acquireStream(httpUrl(this.#options.url))
    const releaseBoth = (): void => {
      release?.()
      this.#readerSlots.release()
    }
    if (release !== undefined && this.#mayRead()) return releaseBoth
    releaseBoth()
    return undefined
  }

  /** Whether feeds may have streams. A hidden page must not occupy connections that visible pages need. */
  #mayRead(): boolean {
    return !isHidden() && this.#starvedCommands === 0
  }

  #releaseStreams(): void {
    for (const { feed } of this.#attachments.values()) feed.releaseStream()
  }

  #detach(session: string): void {
    const attachment = this.#attachments.get(session)
    if (attachment === undefined) return
    this.#attachments.delete(session)
    this.#presence.delete(session)
    for (const { callback } of attachment.feed.close()) callback()
    if (hasTools(attachment.attach)) void this.#enqueue(session, () => this.#deleteConnection(session))
  }

  #setPresence(session: string, state: SetPresence['state']): void {
    const isQueued = this.#presence.get(session)?.isUnsent === true
    this.#presence.set(session, { state, isUnsent: true })
    // A queued request sends the newest state.
    if (!isQueued) void this.#enqueue(session, () => this.#postPresence(session))
  }

  /** Another node, or this one after a while, does not know the presence state. */
  #repeatPresence(session: string): void {
    const presence = this.#presence.get(session)
    if (presence !== undefined && Object.keys(presence.state).length > 0) this.#setPresence(session, presence.state)
  }

  /** Nothing depends on the request: if it fails, the next one may succeed. */
  async #postPresence(session: string): Promise<void> {
    const presence = this.#presence.get(session)
    if (presence === undefined) return
    presence.isUnsent = false
    const path = `${sessionPath(session)}/presence`
    const { state } = presence
    await this.#try({ method: 'POST', path, body: { state }, timeoutMs: PRESENCE_MS }, 'failed to show presence')
  }

  /** Declares this client's tools in the session. Resolves when that is done, or is no longer necessary. */
  #declare(attach: Attach): Promise<void> {
    const { session, tools = [] } = attach
    return this.#enqueue(session, async () => {
      const attachment = this.#attachments.get(session)
      if (attachment?.attach.id !== attach.id) return
      try {
        await this.#call('PUT', this.#connectionPath(session), { tools })
      } catch (error) {
        if (!(error instanceof HttpFailure) || error.kind !== 'problem' || this.#closed) throw error
        // As on a WebSocket, a session whose tools are refused is not attached.
        attachment.feed.close()
        this.#deliver([errorOf(attach.id, error)])
      }
    })
  }

  async #post(command: PostedCommand): Promise<void> {
    const { path, headers, body } = requestOf(command, this.#attachments.get(command.session)?.attach.tools)
    try {
      const answer = okOf(command, await this.#call('POST', path, body, headers))
      const feed = this.#attachments.get(command.session)?.feed
      if (feed === undefined || answer.cursor === undefined) {
        this.#deliver([answer])
      } else if (isFinal(command)) {
        feed.whenReached(answer.cursor, () => this.#deliver([answer]))
      } else {
        this.#deliver([answer])
        // If the entries do not arrive, the stream is stalled.
        feed.whenReached(answer.cursor, () => undefined)
      }
    } catch (error) {
      if (!(error instanceof HttpFailure) || error.kind !== 'problem') throw error
      const { code, retryAfterMs } = error
      if (code === 'unauthenticated') throw error
      this.#deliver([errorOf(command.id, error)])
      if (code === 'going_away') {
        this.#deliver([{ type: 'goaway', reason: error.message, reconnectAfterMs: retryAfterMs ?? 0 }])
      }
    }
  }

  /** Runs requests one at a time per session, and a few at a time in total. A failed request loses the transport. */
  #enqueue(session: string, request: () => Promise<void>): Promise<void> {
    const before = this.#chains.get(session) ?? Promise.resolve()
    const task = before
      .then(async () => {
        await this.#commandSlots.acquire()
        try {
          if (!this.#closed) await request()
        } finally {
          this.#commandSlots.release()
        }
      })
      .catch((error: unknown) => this.#onError(error, 'broken'))
      .finally(() => {
        if (this.#chains.get(session) === task) this.#chains.delete(session)
      })
    this.#chains.set(session, task)
    return task
  }

  async #call(
    method: 'POST' | 'PUT',
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    const call = { method, path, body, headers, timeoutMs: COMMAND_MS }
    let isStarved = false
    // The streams of this and other pages may occupy all connections of the browser: free one.
    const cancel = this.#options.clock.after(this.#options.policy.timeoutMs, () => {
      isStarved = true
      this.#starvedCommands += 1
      this.#releaseStreams()
    })
    try {
      return await this.#caller.json(call)
    } catch (error) {
      // The server may just have closed a kept-alive connection. The key makes the command take effect once.
      if (this.#closed || !(error instanceof HttpFailure) || error.kind !== 'network') throw error
      return await this.#caller.json(call)
    } finally {
      cancel()
      if (isStarved) this.#starvedCommands -= 1
    }
  }

  #connectionPath(session: string): string {
    return `${sessionPath(session)}/connections/${this.#options.connection}`
  }

  /** Releases this client's tool calls for others. If the request fails, the server releases them later. */
  async #deleteConnection(session: string): Promise<void> {
    const call = {
      method: 'DELETE',
      path: this.#connectionPath(session),
      keepalive: true,
      timeoutMs: DELETE_MS,
    } as const
    await this.#try(call, 'failed to leave the session')
  }

  /** Makes a request on which nothing depends. */
  async #try(call: HttpCall, problem: string): Promise<void> {
    try {
      await this.#caller.json(call)
    } catch (error) {
      this.#options.logger?.debug({ err: error, path: call.path }, problem)
    }
  }

  #deliver(frames: readonly ServerFrame[]): void {
    if (!this.#closed) this.#handler.frames(frames)
  }

  #fail(loss: Loss): void {
    if (this.#closed) return
    this.close()
    this.#handler.lost(loss)
  }
}

function hasTools(attach: Attach): boolean {
  return (attach.tools?.length ?? 0) > 0
}

/** The close code that a WebSocket would get. */
function codeOf(failure: HttpFailure | undefined): number {
  if (failure?.kind !== 'problem') return ABNORMAL
  if (failure.code === 'unauthenticated') return NOT_AUTHENTICATED
  return failure.code === 'forbidden' || failure.code === 'origin_not_allowed' ? 4403 : ABNORMAL
}

function isWelcome(value: unknown): value is Welcome {
  return hasFields(value, { connection: 'string', user: 'string', node: 'string', heartbeatMs: 'number' })
}
