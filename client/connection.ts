// Connection: the one WebSocket of a client, kept up across losses. The shell around connection-state.ts: it owns
// the socket and the timers. A frame of a socket that was left is never heard.
import type { ClientFrame, Command, ErrorFrame, Ok, ServerFrame } from '@parley/protocol'
import { LIMITS } from '@parley/protocol/limits'
import { SUBPROTOCOLS } from '@parley/protocol/subprotocol'
import { onWake, platformWebSocket } from '#platform'
import {
  type ClientOptions,
  type Clock,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_MAX_PENDING,
  DEFAULT_RECONNECT,
  type Logger,
  SYSTEM_CLOCK,
  socketUrl,
} from './client-options.ts'
import { CommandQueue, type QueuedCommand } from './command-queue.ts'
import {
  backoff,
  type ConnectionEvent,
  type ConnectionState,
  heartbeat,
  IDLE,
  nextConnection,
  type ReconnectPolicy,
} from './connection-state.ts'
import { type FrameCodec, loadCodec } from './frame-codec.ts'
import { Listeners } from './listeners.ts'
import { DisconnectedError, ParleyError } from './parley-error.ts'
import type { WebSocketLike } from './web-socket.ts'

export const CLIENT_VERSION = '0.1.0'

/** Code that the SDK gives to a loss without a close frame (RFC 6455, section 7.1.5). */
const ABNORMAL = 1006
const NORMAL = 1000

export interface ConnectionHandler {
  /** It is open: what is sent now goes before the commands that wait. */
  opened(): void
  lost(): void
  /** It will not come back. */
  ended(error: ParleyError): void
  /** The frames of one message, but for those that are the connection's own. */
  frames(frames: readonly ServerFrame[]): void
}

interface Link {
  readonly socket: WebSocketLike
  readonly codec: FrameCodec
  heardAt: number
  /** A ping was sent then and nothing came since. */
  pingedAt: number | undefined
  heartbeatMs: number
  /** Bytes of the largest message that the server takes. */
  maxBytes: number
}

export class Connection {
  readonly #options: ClientOptions
  readonly #url: string
  readonly #policy: ReconnectPolicy
  readonly #handler: ConnectionHandler
  readonly #queue: CommandQueue
  readonly #listeners = new Listeners()
  readonly #delays = new Set<() => void>()
  readonly clock: Clock
  readonly logger: Logger | undefined
  #state: ConnectionState = IDLE
  #link: Link | undefined
  /** Raised whenever a link is left, so that what was begun for it is dropped. */
  #generation = 0
  #cancelTimer: (() => void) | undefined
  #stopWaking: (() => void) | undefined

  constructor(options: ClientOptions, handler: ConnectionHandler) {
    this.#options = options
    this.#url = socketUrl(options.url)
    this.#policy = { ...DEFAULT_RECONNECT, ...options.reconnect }
    this.#handler = handler
    this.#queue = new CommandQueue(options.maxPending ?? DEFAULT_MAX_PENDING)
    this.clock = options.clock ?? SYSTEM_CLOCK
    this.logger = options.logger
  }

  get state(): ConnectionState {
    return this.#state
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  connect(): void {
    if (this.#state.status !== 'idle') return
    this.#step({ type: 'connect' })
    this.#stopWaking = onWake(() => this.wake())
    this.#dial()
  }

  /** Sends it now or when there is a connection, and again after each loss until it is answered. */
  async command(frame: Command, options: { resend?: boolean } = {}): Promise<Ok> {
    const { status } = this.#state
    if (status === 'closed') throw this.error()
    const resend = options.resend ?? true
    if (!resend && status !== 'open') throw new ParleyError('disconnected', 'There is no connection.', true)
    const answer = this.#queue.add(frame, resend)
    if (status === 'open') this.post(frame)
    return answer
  }

  /** @returns false when there is no connection: then it is not sent at all */
  post(frame: ClientFrame): boolean {
    const link = this.#link
    if (link === undefined || this.#state.status !== 'open') return false
    const data = link.codec.encode(frame)
    if (isLarger(data, link.maxBytes)) {
      // The server would close the connection, for good, and with it all sessions.
      const error = new ParleyError('too_large', 'The command is larger than the server takes.')
      if ('id' in frame) this.#queue.refuse(frame.id, error)
      return false
    }
    link.socket.send(data)
    return true
  }

  /** The network, or the person, may have come back: no need to wait any longer. */
  wake(): void {
    const link = this.#link
    if (this.#state.status === 'waiting') this.#retry()
    else if (this.#state.status === 'open' && link !== undefined) {
      this.#ping(link)
      this.#beat(link)
    }
  }

  failSession(session: string, error: ParleyError): void {
    this.#queue.failSession(session, error)
  }

  close(): void {
    if (this.#state.status === 'closed') return
    this.#step({ type: 'close' })
    this.#end(new ParleyError('closed', 'The client was closed.'))
  }

  /** Why there is no connection any more. */
  error(): ParleyError {
    return this.#state.error ?? new ParleyError('closed', 'The client was closed.')
  }

  #step(event: ConnectionEvent): void {
    const { clock } = this
    this.#state = nextConnection(this.#state, event, this.#policy, clock.now(), clock.random())
  }

  #dial(): void {
    this.#listeners.notify()
    const generation = this.#leave()
    const timeoutMs = this.#options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS
    this.#arm(timeoutMs, () => this.#lost(ABNORMAL, 'The connection was not open in time.'))
    this.#open(generation).catch((error: unknown) => {
      if (generation !== this.#generation) return
      this.logger?.warn({ err: error }, 'connection could not be begun')
      this.#lost(ABNORMAL, error instanceof Error ? error.message : 'The connection could not be begun.')
    })
  }

  async #open(generation: number): Promise<void> {
    const { codec: name = 'json', token } = this.#options
    const codec = await loadCodec(name)
    const secret = typeof token === 'function' ? await token() : token
    if (generation !== this.#generation) return
    const Socket = this.#options.WebSocket ?? platformWebSocket()
    const socket = new Socket(this.#url, [SUBPROTOCOLS[name]])
    socket.binaryType = 'arraybuffer'
    const link: Link = {
      socket,
      codec,
      heardAt: this.clock.now(),
      pingedAt: undefined,
      heartbeatMs: 0,
      maxBytes: LIMITS.frameBytes,
    }
    this.#link = link
    socket.onopen = () => {
      if (this.#link !== link) return
      const client = { name: '@parley/client', version: CLIENT_VERSION }
      socket.send(
        codec.encode({
          type: 'hello',
          client,
          ...(secret === undefined ? {} : { token: secret }),
        }),
      )
    }
    socket.onmessage = (event) => this.#message(link, event.data)
    socket.onclose = (event) => {
      if (this.#link === link) this.#lost(event.code, event.reason)
    }
    // A failure is always followed by a close event, which says what there is to say.
    socket.onerror = () => undefined
  }

  #message(link: Link, data: unknown): void {
    if (this.#link !== link) return
    link.heardAt = this.clock.now()
    link.pingedAt = undefined
    let frames: readonly ServerFrame[]
    try {
      frames = link.codec.decode(data)
    } catch (error) {
      this.logger?.warn({ err: error }, 'the server sent something that is no frame')
      this.#lost(ABNORMAL, 'The server sent something that is no frame.')
      return
    }
    // Frames are handed on in the order in which they came, and in as few calls as that allows.
    let others: ServerFrame[] = []
    const flush = (): void => {
      if (others.length > 0) this.#handler.frames(others)
      others = []
    }
    for (const frame of frames) {
      if (this.#link !== link) return
      if (frame.type === 'entry' || !this.#own(link, frame, flush)) others.push(frame)
    }
    if (this.#link === link) flush()
  }

  /** @returns false when the frame is not for the connection itself */
  #own(link: Link, frame: ServerFrame, flush: () => void): boolean {
    switch (frame.type) {
      case 'welcome':
        link.heartbeatMs = frame.heartbeatMs
        link.maxBytes = frame.limits.frameBytes ?? LIMITS.frameBytes
        this.#welcome(frame)
        return true
      case 'goaway':
        this.#step({
          type: 'goaway',
          reconnectAfterMs: frame.reconnectAfterMs,
        })
        this.logger?.debug({ reconnectAfterMs: frame.reconnectAfterMs }, 'the node goes away')
        this.#beat(link)
        return true
      case 'ok':
        // Entries that came before an `ok` are seen before it resolves anything.
        flush()
        return this.#queue.ok(frame)
      case 'error': {
        flush()
        const command = this.#queue.error(frame)
        if (command !== undefined) this.#delay(command, frame)
        return command !== undefined
      }
      case 'pong':
        return true
      default:
        return false
    }
  }

  #welcome(frame: Extract<ServerFrame, { type: 'welcome' }>): void {
    const link = this.#link
    if (link === undefined || this.#state.status !== 'connecting') return
    this.#step(frame)
    this.logger?.debug({ node: frame.node, connection: frame.connection }, 'connected')
    this.#beat(link)
    this.#handler.opened()
    for (const waiting of this.#queue.ready()) this.post(waiting)
    this.#listeners.notify()
  }

  #delay(command: QueuedCommand, frame: ErrorFrame): void {
    const wait = frame.retryAfterMs ?? backoff(this.#policy, command.retries, this.clock.random())
    const cancel = this.clock.after(wait, () => {
      this.#delays.delete(cancel)
      const due = this.#queue.due(command)
      if (due !== undefined) this.post(due)
    })
    this.#delays.add(cancel)
  }

  /** One timer serves the heartbeat and the time at which to leave a node that goes away. */
  #beat(link: Link): void {
    if (this.#link !== link) return
    const now = this.clock.now()
    const { leaveAt } = this.#state
    if (leaveAt !== undefined && now >= leaveAt) {
      this.#lost(NORMAL, 'The node goes away.')
      return
    }
    let wait = leaveAt === undefined ? Number.POSITIVE_INFINITY : leaveAt - now
    if (link.heartbeatMs > 0) {
      const pingedMs = link.pingedAt === undefined ? undefined : now - link.pingedAt
      const beat = heartbeat(now - link.heardAt, link.heartbeatMs, pingedMs)
      if (beat.do === 'leave') {
        this.#lost(ABNORMAL, 'The server was silent for too long.')
        return
      }
      if (beat.do === 'ping') this.#ping(link)
      wait = Math.min(wait, beat.nextMs)
    }
    if (Number.isFinite(wait)) this.#arm(Math.max(1, wait), () => this.#beat(link))
    else this.#cancelTimer?.()
  }

  #ping(link: Link): void {
    link.pingedAt ??= this.clock.now()
    this.post({ type: 'ping' })
  }

  #retry(): void {
    this.#step({ type: 'retry' })
    this.#dial()
  }

  #lost(code: number, reason: string): void {
    const { status } = this.#state
    if (status !== 'connecting' && status !== 'open') return
    this.#leave()
    this.#step({ type: 'lost', code, reason })
    const { status: next, retryAt, attempt, error } = this.#state
    this.logger?.debug({ code, attempt, status: next }, 'connection lost')
    if (next === 'closed') {
      this.#end(error ?? new DisconnectedError(code, reason))
      return
    }
    this.#queue.lost(new ParleyError('disconnected', 'The connection was lost.', true))
    this.#arm(Math.max(0, (retryAt ?? 0) - this.clock.now()), () => this.#retry())
    this.#handler.lost()
    this.#listeners.notify()
  }

  #end(error: ParleyError): void {
    this.#leave()
    this.#stopWaking?.()
    for (const cancel of this.#delays) cancel()
    this.#delays.clear()
    this.#queue.fail(error)
    this.#handler.ended(error)
    this.#listeners.notify()
  }

  /** Hears no more of the present link and stops its timer. @returns the generation that begins */
  #leave(): number {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#generation += 1
    const link = this.#link
    this.#link = undefined
    if (link !== undefined) hangUp(link.socket)
    return this.#generation
  }

  #arm(ms: number, callback: () => void): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.clock.after(ms, callback)
  }
}

/** Most messages are far from it, and need not be measured. */
function isLarger(data: string | Uint8Array, maxBytes: number): boolean {
  if (typeof data !== 'string') return data.byteLength > maxBytes
  return data.length * 3 > maxBytes && new TextEncoder().encode(data).byteLength > maxBytes
}

const CLOSING = 2

function hangUp(socket: WebSocketLike): void {
  if (socket.readyState >= CLOSING) return
  // A peer that does not answer would keep the closing socket for long; `ws` can end it.
  socket.close(NORMAL)
  if (socket.terminate !== undefined) setTimeout(() => socket.terminate?.(), HANG_UP_MS).unref?.()
}

const HANG_UP_MS = 2_000
