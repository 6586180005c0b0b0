// HttpTransport: a link over plain HTTP requests: each session is read by a feed, commands are posted. Commands of one
// session are posted one after the other, and what ends a run is not answered before all up to its end was handed on.
import type { Attach, ClientFrame, ServerFrame, SetPresence, Welcome } from '@parley/protocol'
import { isHidden, onHide, POSTS, STREAMS } from '#platform'
import { httpUrl } from '../../client-options.ts'
import { Semaphore } from '../../semaphore.ts'
import type { Door } from '../door.ts'
import { doorName } from '../resumption.ts'
import { ABNORMAL, type Loss, type Transport, type TransportHandler, type TransportOptions } from '../transport.ts'
import { errorOf, isFinal, okOf, type PostedCommand, requestOf, sessionPath } from './command-request.ts'
import { type HttpAnswer, HttpCaller } from './http-caller.ts'
import { HttpFailure } from './http-failure.ts'
import { type FeedPorts, SessionFeed } from './session-feed.ts'

/** Milliseconds that the server may take for a command. */
const COMMAND_MS = 20_000
/** Milliseconds that showing a state may take; commands wait for it. */
const SHOW_MS = 3_000
/** Milliseconds that a farewell may take. */
const FAREWELL_MS = 2_000
const JSON_TYPE = 'application/json'

interface Room {
  readonly feed: SessionFeed
  readonly attach: Attach
}

export class HttpTransport implements Transport {
  readonly #door: Door
  readonly #options: TransportOptions
  readonly #handler: TransportHandler
  readonly #caller: HttpCaller
  readonly #streams = new Semaphore(STREAMS)
  readonly #posts = new Semaphore(POSTS)
  readonly #rooms = new Map<string, Room>()
  /** By session, what was asked for last: the next one waits for it. */
  readonly #lanes = new Map<string, Promise<void>>()
  /** By session, what is shown; dirty: it is still to be posted. */
  readonly #shown = new Map<string, { readonly state: SetPresence['state']; dirty: boolean }>()
  readonly #stopHiding: () => void
  #welcome: Welcome | undefined
  #closed = false

  constructor(door: Exclude<Door, 'websocket'>, options: TransportOptions, handler: TransportHandler) {
    this.#door = door
    this.#options = options
    this.#handler = handler
    this.#caller = new HttpCaller({ ...options, url: httpUrl(options.url), door: doorName(door) })
    this.#stopHiding = onHide(() => {
      for (const { feed } of this.#rooms.values()) feed.yield()
    })
    this.#open().catch((error: unknown) => this.#notOpened(error))
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
        for (const { feed } of this.#rooms.values()) feed.check()
        break
      case 'presence':
        this.#show(frame.session, frame.state)
        break
      case 'hello':
      case 'token':
        // Each request says who asks.
        break
      default:
        void this.#inTurn(frame.session, () => this.#post(frame))
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopHiding()
    for (const { feed } of this.#rooms.values()) feed.close()
    this.#caller.close()
  }

  leaveForGood(): void {
    const rooms = [...this.#rooms]
    this.#rooms.clear()
    for (const [session, { attach }] of rooms) if (hasTools(attach)) void this.#farewell(session)
  }

  renew(): void {
    this.#caller.renew()
  }

  async #open(): Promise<void> {
    const { body } = await this.#caller.json({
      method: 'GET',
      path: '/v1/hello',
      accept: JSON_TYPE,
      timeoutMs: COMMAND_MS,
    })
    if (!isWelcome(body)) throw new HttpFailure('foreign', 'The answer is not a welcome of Parley.')
    this.#welcome = body
    // The feeds look after themselves: what is silent for too long is opened anew.
    this.#hand([{ ...body, heartbeatMs: 0 }])
  }

  #notOpened(error: unknown): void {
    const failure = error instanceof HttpFailure ? error : undefined
    const reason = error instanceof Error ? error.message : 'The connection could not be begun.'
    const code = codeOf(failure)
    const retryAfterMs = failure?.retryAfterMs
    const retry = retryAfterMs === undefined ? {} : { retryAfterMs }
    const told = failure?.kind === 'problem' && (code !== ABNORMAL || failure.code === 'rate_limited')
    this.#lose({ kind: told ? 'told' : 'unreached', code, reason, ...retry })
  }

  #attach(attach: Attach): void {
    const { session } = attach
    const before = this.#rooms.get(session)
    const waiting = before?.feed.close() ?? []
    const isAboutTools = hasTools(attach) || (before !== undefined && hasTools(before.attach))
    // First the tools: while it is read, the server keeps what was declared before.
    const declared = isAboutTools ? this.#declare(attach) : undefined
    const feed = new SessionFeed(attach, this.#feedPorts(), declared)
    this.#rooms.set(session, { feed, attach })
    for (const { cursor, then } of waiting) feed.reach(cursor, then)
  }

  #feedPorts(): FeedPorts {
    const { clock, doors, reconnect } = this.#options
    const { heartbeatMs = 0 } = this.#welcome ?? {}
    return {
      caller: this.#caller,
      clock,
      policy: doors,
      reconnect,
      slots: this.#streams,
      isHidden,
      streams: this.#door === 'sse',
      door: this.#door,
      heartbeatMs,
      frames: (frames) => this.#hand(frames),
      lost: (loss) => this.#lose(loss),
      returned: (session) => {
        const attach = this.#rooms.get(session)?.attach
        if (attach !== undefined && hasTools(attach)) void this.#declare(attach)
        this.#showAgain(session)
      },
    }
  }

  #detach(session: string): void {
    const room = this.#rooms.get(session)
    if (room === undefined) return
    this.#rooms.delete(session)
    this.#shown.delete(session)
    for (const { then } of room.feed.close()) then()
    if (hasTools(room.attach)) void this.#inTurn(session, () => this.#farewell(session))
  }

  #show(session: string, state: SetPresence['state']): void {
    const isUnderWay = this.#shown.get(session)?.dirty === true
    this.#shown.set(session, { state, dirty: true })
    // One that waits for its turn takes the newest with it.
    if (!isUnderWay) void this.#inTurn(session, () => this.#postShown(session))
  }

  /** Another node, or this one after a while, knows nothing of what was shown. */
  #showAgain(session: string): void {
    const shown = this.#shown.get(session)
    if (shown !== undefined && Object.keys(shown.state).length > 0) this.#show(session, shown.state)
  }

  /** Nothing depends on it: where it fails, the next one may do. */
  async #postShown(session: string): Promise<void> {
    const shown = this.#shown.get(session)
    if (shown === undefined) return
    shown.dirty = false
    const path = `${sessionPath(session)}/presence`
    const call = { method: 'POST', path, body: { state: shown.state }, accept: JSON_TYPE, timeoutMs: SHOW_MS } as const
    try {
      await this.#caller.json(call)
    } catch (error) {
      this.#options.logger?.debug({ err: error, session }, 'a state could not be shown')
    }
  }

  /** Tells the server which tools this client has in the session. Resolves when that is done, or is of no use. */
  #declare(attach: Attach): Promise<void> {
    const { session, tools = [] } = attach
    return this.#inTurn(session, async () => {
      const room = this.#rooms.get(session)
      if (room?.attach.id !== attach.id) return
      try {
        await this.#call('PUT', this.#place(session), { tools })
      } catch (error) {
        if (!(error instanceof HttpFailure) || error.kind !== 'problem' || this.#closed) throw error
        // As on a WebSocket: the session is not attached without its tools.
        room.feed.close()
        this.#hand([errorOf(attach.id, error)])
      }
    })
  }

  async #post(command: PostedCommand): Promise<void> {
    const { path, headers, body } = requestOf(command, this.#rooms.get(command.session)?.attach.tools)
    try {
      const answer = okOf(command, await this.#call('POST', path, body, headers))
      const feed = this.#rooms.get(command.session)?.feed
      if (feed === undefined || answer.cursor === undefined) {
        this.#hand([answer])
      } else if (isFinal(command)) {
        feed.reach(answer.cursor, () => this.#hand([answer]))
      } else {
        this.#hand([answer])
        // It will come, or else the stream is of no use.
        feed.reach(answer.cursor, () => undefined)
      }
    } catch (error) {
      if (!(error instanceof HttpFailure) || error.kind !== 'problem') throw error
      const { code, retryAfterMs } = error
      if (code === 'unauthenticated') throw error
      this.#hand([errorOf(command.id, error)])
      if (code === 'going_away') {
        this.#hand([{ type: 'goaway', reason: error.message, reconnectAfterMs: retryAfterMs ?? 0 }])
      }
    }
  }

  /** One after the other in a session, and a few at a time in all. What cannot be asked for loses the link. */
  #inTurn(session: string, ask: () => Promise<void>): Promise<void> {
    const before = this.#lanes.get(session) ?? Promise.resolve()
    const turn = before
      .then(async () => {
        await this.#posts.turn()
        try {
          if (!this.#closed) await ask()
        } finally {
          this.#posts.give()
        }
      })
      .catch((error: unknown) => {
        const failure = error instanceof HttpFailure ? error : undefined
        const reason = error instanceof Error ? error.message : 'The command could not be sent.'
        const code = codeOf(failure)
        this.#lose({ kind: code === ABNORMAL ? 'broken' : 'told', code, reason })
      })
      .finally(() => {
        if (this.#lanes.get(session) === turn) this.#lanes.delete(session)
      })
    this.#lanes.set(session, turn)
    return turn
  }

  async #call(
    method: 'POST' | 'PUT',
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    const call = { method, path, body, headers, accept: JSON_TYPE, timeoutMs: COMMAND_MS }
    try {
      return await this.#caller.json(call)
    } catch (error) {
      // A connection that was kept open may have been closed just then. The key makes it take effect once.
      if (this.#closed || !(error instanceof HttpFailure) || error.kind !== 'network') throw error
      return this.#caller.json(call)
    }
  }

  #place(session: string): string {
    return `${sessionPath(session)}/connections/${this.#options.connection}`
  }

  /** What this client had taken upon itself is free for others. Where it fails, the server notices by itself, later. */
  async #farewell(session: string): Promise<void> {
    const call = { method: 'DELETE', path: this.#place(session), accept: JSON_TYPE, keepalive: true } as const
    try {
      await this.#caller.json({ ...call, timeoutMs: FAREWELL_MS })
    } catch (error) {
      this.#options.logger?.debug({ err: error, session }, 'a session could not be left')
    }
  }

  #hand(frames: readonly ServerFrame[]): void {
    if (!this.#closed) this.#handler.frames(frames)
  }

  #lose(loss: Loss): void {
    if (this.#closed) return
    this.close()
    this.#handler.lost(loss)
  }
}

function hasTools(attach: Attach): boolean {
  return (attach.tools?.length ?? 0) > 0
}

/** As a WebSocket would be closed. */
function codeOf(failure: HttpFailure | undefined): number {
  if (failure?.kind !== 'problem') return ABNORMAL
  if (failure.code === 'unauthenticated') return 4401
  return failure.code === 'forbidden' ? 4403 : ABNORMAL
}

function isWelcome(value: unknown): value is Welcome {
  if (typeof value !== 'object' || value === null) return false
  const { connection, user, node, heartbeatMs } = value as Record<string, unknown>
  return [connection, user, node].every((text) => typeof text === 'string') && typeof heartbeatMs === 'number'
}
