// Connection: a client's one connection, kept up across losses and from door to door. The shell around
// connection-state.ts: it owns the link and the timers. A frame of a link that was left is never heard.
import type { ClientFrame, Command, ErrorFrame, Ok, Resume, ServerFrame } from '@parley/protocol'
import { CLOSE } from '@parley/protocol/close-code'
import { onWake, platformStorage } from '#platform'
import { backoff, type ReconnectPolicy } from '../backoff.ts'
import {
  type ClientOptions,
  type Clock,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_MAX_PENDING,
  httpUrl,
  type Logger,
} from '../client-options.ts'
import { Listeners } from '../listeners.ts'
import { DisconnectedError, ParleyError } from '../parley-error.ts'
import { DOORS, type Door } from '../transport/door.ts'
import { openTransport } from '../transport/open-transport.ts'
import { type Left, resumption } from '../transport/resumption.ts'
import { ABNORMAL, type Loss, NORMAL, type Transport, type TransportOptions } from '../transport/transport.ts'
import { linkOptions } from '../transport/transport-options.ts'
import { CommandQueue, type QueuedCommand } from './command-queue.ts'
import type { ConnectionHandler } from './connection-handler.ts'
import { type ConnectionEvent, type ConnectionState, heartbeat, IDLE, nextConnection } from './connection-state.ts'
import { TransportMemory } from './transport-memory.ts'
import { type Found, Relay } from './transport-probe.ts'
import { TransportSelector } from './transport-selector.ts'

/** The link in use. */
interface Line {
  readonly link: Transport
  /** The door, once the server has welcomed us through it. */
  door: Door | undefined
  /** When something last came. */
  heardAt: number
  /** A ping was sent then and nothing came since. */
  pingedAt: number | undefined
  /** 0: the link looks after itself. */
  heartbeatMs: number
}

export class Connection {
  readonly #options: ClientOptions
  readonly #linkOptions: TransportOptions
  readonly #policy: ReconnectPolicy
  readonly #handler: ConnectionHandler
  readonly #queue: CommandQueue
  readonly #doors: TransportSelector
  readonly #listeners = new Listeners()
  readonly #delays = new Set<() => void>()
  readonly clock: Clock
  readonly logger: Logger | undefined
  #state: ConnectionState
  #line: Line | undefined
  /** Left, and the server may still keep what was its: the next one goes on with that, if it is of the same kind. */
  #before: Transport | undefined
  /** The last line that was open, once it was left. */
  #left: Left | undefined
  #cancelTimer: (() => void) | undefined
  #stopWaking: (() => void) | undefined

  constructor(options: ClientOptions, handler: ConnectionHandler) {
    const { url, transport = 'auto' } = options
    const storage = options.storage ?? platformStorage()
    this.#options = options
    this.#linkOptions = linkOptions(options, storage)
    this.#policy = this.#linkOptions.reconnect
    this.#handler = handler
    this.#queue = new CommandQueue(options.maxPending ?? DEFAULT_MAX_PENDING)
    this.clock = this.#linkOptions.clock
    this.logger = options.logger
    this.#doors = new TransportSelector(transport === 'auto' ? DOORS : [transport], {
      clock: this.clock,
      logger: this.logger,
      policy: this.#linkOptions.doors,
      memory: new TransportMemory(transport === 'auto' ? storage : undefined, httpUrl(url), () => this.clock.now()),
      open: (door, relay) => openTransport(door, this.#linkOptions, relay),
      sample: () => handler.sample(),
      adopt: (found) => this.#adopt(found),
    })
    this.#state = { ...IDLE, transport: this.#doors.state }
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
    if (this.#line === undefined || this.#state.status !== 'open') return false
    this.#line.link.send(frame)
    return true
  }

  /** The network, or the person, may have come back: no need to wait any longer. */
  wake(): void {
    const line = this.#line
    if (this.#state.status === 'waiting') {
      // Without another token it would be turned away again.
      if (this.#state.turnedAway !== true) this.#retry()
    } else if (this.#state.status === 'open' && line !== undefined) {
      this.#ping(line)
      this.#beat(line)
    }
  }

  /** There may be a fresh token: it is asked for, and given to the server, and all goes on. */
  renew(): void {
    if (this.#state.turnedAway === true) this.#retry()
    else this.#line?.link.renew()
  }

  /** What is told of the connection before. @param isRunning a run of the session was under way */
  resumption(isRunning: boolean): Resume | undefined {
    return this.#left && resumption(this.#left, this.clock.now(), isRunning)
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
    const next = nextConnection(this.#state, event, this.#policy, clock.now(), clock.random())
    this.#state = { ...next, transport: this.#doors.state }
  }

  #dial(): void {
    this.#listeners.notify()
    this.#leave()
    const { door } = this.#doors.state
    this.#arm(this.#patienceMs(door), () => {
      this.#lost({ kind: 'unreached', code: ABNORMAL, reason: 'The connection was not open in time.' })
    })
    const relay = new Relay()
    this.#use(openTransport(door, this.#linkOptions, relay), relay)
  }

  /** Milliseconds within which a link has to be open. */
  #patienceMs(door: Door): number {
    const { connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = this.#options
    // Where there are other doors, this one is not waited for as long.
    const hasOthers = door === 'websocket' && this.#doors.several
    return hasOthers ? Math.min(connectTimeoutMs, this.#linkOptions.doors.timeoutMs) : connectTimeoutMs
  }

  #use(link: Transport, relay: Relay): Line {
    const line: Line = { link, door: undefined, heardAt: this.clock.now(), pingedAt: undefined, heartbeatMs: 0 }
    this.#line = line
    relay.lead({
      frames: (frames) => this.#frames(line, frames),
      lost: (loss) => {
        if (this.#line === line) this.#lost(loss)
      },
    })
    return line
  }

  /** Goes on over a link through a better door, which is open already. */
  #adopt({ link, relay, welcome }: Found): void {
    if (this.#state.status !== 'open') {
      link.close()
      return
    }
    this.#leave()
    const line = this.#use(link, relay)
    line.heartbeatMs = welcome.heartbeatMs
    this.#doors.opened()
    line.door = this.#doors.state.door
    this.#step({ ...welcome, type: 'moved' })
    this.logger?.debug({ door: this.#doors.state.door, node: welcome.node }, 'moved to a better door')
    this.#queue.lost(new ParleyError('disconnected', 'The connection was made anew.', true))
    this.#resume(line, () => this.#handler.moved())
  }

  #frames(line: Line, frames: readonly ServerFrame[]): void {
    if (this.#line !== line) return
    line.heardAt = this.clock.now()
    line.pingedAt = undefined
    // Frames are handed on in the order in which they came, and in as few calls as that allows.
    let others: ServerFrame[] = []
    const flush = (): void => {
      if (others.length > 0) this.#handler.frames(others)
      others = []
    }
    for (const frame of frames) {
      if (this.#line !== line) return
      if (frame.type === 'entry' || !this.#own(line, frame, flush)) others.push(frame)
    }
    if (this.#line === line) flush()
  }

  /** @returns false when the frame is not for the connection itself */
  #own(line: Line, frame: ServerFrame, flush: () => void): boolean {
    switch (frame.type) {
      case 'welcome':
        this.#welcome(line, frame)
        return true
      case 'goaway':
        this.#step({ type: 'goaway', reconnectAfterMs: frame.reconnectAfterMs })
        this.logger?.debug({ reconnectAfterMs: frame.reconnectAfterMs }, 'the node goes away')
        this.#beat(line)
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

  #welcome(line: Line, frame: Extract<ServerFrame, { type: 'welcome' }>): void {
    if (this.#state.status !== 'connecting') return
    if (this.#doors.prefer(frame.experiment?.doors)) {
      // Nothing was asked for over this one yet.
      this.#state = { ...this.#state, transport: this.#doors.state }
      this.#dial()
      return
    }
    line.heartbeatMs = frame.heartbeatMs
    this.#doors.opened()
    line.door = this.#doors.state.door
    this.#step(frame)
    const { node, connection } = frame
    this.logger?.debug({ node, connection, door: this.#doors.state.door }, 'connected')
    this.#resume(line, () => this.#handler.opened())
  }

  /** Over a new link: first the sessions, then the commands that wait. */
  #resume(line: Line, attach: () => void): void {
    if (line.link.leaveForGood === undefined) this.#before?.leaveForGood?.()
    this.#before = undefined
    this.#beat(line)
    attach()
    for (const waiting of this.#queue.ready()) this.post(waiting)
    this.#listeners.notify()
  }

  #delay(command: QueuedCommand, frame: ErrorFrame): void {
    const wait = frame.retryAfterMs ?? backoff(this.#policy, command.retries, this.clock.random())
    this.#handler.delayed(command.frame, frame, this.clock.now() + wait)
    const cancel = this.clock.after(wait, () => {
      this.#delays.delete(cancel)
      const due = this.#queue.due(command)
      if (due !== undefined) this.post(due)
    })
    this.#delays.add(cancel)
  }

  /** One timer serves the heartbeat and the time at which to leave a node that goes away. */
  #beat(line: Line): void {
    if (this.#line !== line) return
    const now = this.clock.now()
    const { leaveAt } = this.#state
    if (leaveAt !== undefined && now >= leaveAt) {
      this.#lost({ kind: 'told', code: NORMAL, reason: 'The node goes away.' })
      return
    }
    let wait = leaveAt === undefined ? Number.POSITIVE_INFINITY : leaveAt - now
    if (line.heartbeatMs > 0) {
      const pingedMs = line.pingedAt === undefined ? undefined : now - line.pingedAt
      const beat = heartbeat(now - line.heardAt, line.heartbeatMs, pingedMs)
      if (beat.do === 'leave') {
        this.#lost({ kind: 'broken', code: ABNORMAL, reason: 'The server was silent for too long.' })
        return
      }
      if (beat.do === 'ping') this.#ping(line)
      wait = Math.min(wait, beat.nextMs)
    }
    if (Number.isFinite(wait)) this.#arm(Math.max(1, wait), () => this.#beat(line))
    else this.#cancelTimer?.()
  }

  #ping(line: Line): void {
    line.pingedAt ??= this.clock.now()
    this.post({ type: 'ping' })
  }

  #retry(): void {
    this.#step({ type: 'retry' })
    this.#dial()
  }

  #lost(loss: Loss): void {
    const { status, since } = this.#state
    if (status !== 'connecting' && status !== 'open') return
    const { code, reason, retryAfterMs } = loss
    const heldMs = loss.heldMs ?? (since === undefined ? 0 : (this.#line?.heardAt ?? since) - since)
    this.#leave()
    const elsewhere = this.#doors.lost(loss, heldMs)
    const waits = code === CLOSE.notAuthenticated.code && this.#options.whenTurnedAway === 'wait'
    this.#step({ type: 'lost', code, reason, elsewhere, retryAfterMs, waits })
    const { status: next, retryAt, attempt, error, transport } = this.#state
    this.logger?.debug({ code, attempt, status: next, door: transport.door }, 'connection lost')
    if (next === 'closed') {
      this.#end(error ?? new DisconnectedError(code, reason))
      return
    }
    this.#queue.lost(new ParleyError('disconnected', 'The connection was lost.', true))
    // Turned away, it waits for a token, and not for a time.
    if (retryAt !== undefined) this.#arm(Math.max(0, retryAt - this.clock.now()), () => this.#retry())
    this.#handler.lost()
    this.#listeners.notify()
  }

  #end(error: ParleyError): void {
    this.#leave()
    this.#before?.leaveForGood?.()
    this.#doors.close()
    this.#stopWaking?.()
    for (const cancel of this.#delays) cancel()
    this.#delays.clear()
    this.#queue.fail(error)
    this.#handler.ended(error)
    this.#listeners.notify()
  }

  /** Hears no more of the present link and stops its timer. */
  #leave(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const line = this.#line
    if (line === undefined) return
    this.#line = undefined
    if (line.door !== undefined) this.#left = { door: line.door, heardAt: line.heardAt }
    this.#before = line.link
    line.link.close()
  }

  #arm(ms: number, callback: () => void): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.clock.after(ms, callback)
  }
}
