// Connection: a client's one connection, maintained across losses and transports. It is the stateful shell around
// connection-state.ts and owns the transport and the timers. Frames of a closed transport are ignored.
import type { ClientFrame, Command, ErrorFrame, Ok, Resume, ServerFrame, Welcome } from '@parley/protocol'
import { NOT_AUTHENTICATED } from '@parley/protocol/close-code'
import { onWake, platformStorage } from '#platform'
import { backoff, type ReconnectPolicy } from '../backoff.ts'
import type { ClientOptions, Clock, Logger } from '../client-options.ts'
import { DEFAULT_CONNECT_TIMEOUT_MS, DEFAULT_MAX_PENDING, httpUrl } from '../client-options.ts'
import { Listeners } from '../listeners.ts'
import { DisconnectedError, ParleyError } from '../parley-error.ts'
import { type Door, TRANSPORTS } from '../transport/door.ts'
import { openHttp, preloadHttp } from '../transport/http/loading-transport.ts'
import { type PreviousConnection, resumption } from '../transport/resumption.ts'
import type { Loss, Transport, TransportHandler, TransportOptions } from '../transport/transport.ts'
import { ABNORMAL, NORMAL, transportOptions } from '../transport/transport.ts'
import { WebSocketTransport } from '../transport/websocket/websocket-transport.ts'
import { CommandQueue, type QueuedCommand } from './command-queue.ts'
import type { ConnectionHandler } from './connection-handler.ts'
import { type ConnectionEvent, type ConnectionState, heartbeat, IDLE, nextConnection } from './connection-state.ts'
import { TransportMemory } from './transport-memory.ts'
import { type ProbedTransport, Relay } from './transport-probe.ts'
import { TransportSelector } from './transport-selector.ts'

/** The transport in use. */
interface ActiveTransport {
  readonly transport: Transport
  /** Its kind, once the server has sent `welcome` over it. */
  kind: Door | undefined
  /** Unix milliseconds of the last received frame. */
  receivedAt: number
  /** Unix milliseconds of an unanswered ping. */
  pingedAt: number | undefined
  /** 0 if the transport monitors itself. */
  heartbeatMs: number
}

export class Connection {
  readonly #options: ClientOptions
  readonly #transportOptions: TransportOptions
  readonly #policy: ReconnectPolicy
  readonly #handler: ConnectionHandler
  readonly #queue: CommandQueue
  readonly #selector: TransportSelector
  readonly #listeners = new Listeners()
  readonly #delays = new Set<() => void>()
  readonly clock: Clock
  readonly logger: Logger | undefined
  #state: ConnectionState
  /** Milliseconds by which the server's clock is ahead of this client's. */
  #serverAheadMs = 0
  #active: ActiveTransport | undefined
  /** The transport before, closed: the server may still keep tool calls for it. The next one of its kind continues them. */
  #previous: (ActiveTransport & PreviousConnection) | undefined
  #cancelTimer: (() => void) | undefined
  #unsubscribeWake: (() => void) | undefined

  constructor(options: ClientOptions, handler: ConnectionHandler) {
    const { url, transport = 'auto' } = options
    const storage = options.storage ?? platformStorage()
    this.#options = options
    this.#transportOptions = transportOptions(options, storage)
    this.#policy = this.#transportOptions.reconnect
    this.#handler = handler
    this.#queue = new CommandQueue(options.maxPending ?? DEFAULT_MAX_PENDING)
    this.clock = this.#transportOptions.clock
    this.logger = options.logger
    this.#selector = new TransportSelector(transport === 'auto' ? TRANSPORTS : [transport], {
      clock: this.clock,
      logger: this.logger,
      policy: this.#transportOptions.policy,
      memory: new TransportMemory(transport === 'auto' ? storage : undefined, httpUrl(url), () => this.clock.now()),
      open: (kind, relay) => this.#create(kind, relay),
      sample: () => handler.sample(),
      moveTo: (probed) => this.#moveTo(probed),
    })
    this.#state = { ...IDLE, transport: this.#selector.state }
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** The server's time in Unix milliseconds. */
  get serverTime(): number {
    return this.clock.now() + this.#serverAheadMs
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  connect(): void {
    if (this.#state.status !== 'idle') return
    this.#apply({ type: 'connect' })
    this.#unsubscribeWake = onWake(() => this.wake())
    this.#open()
  }

  /** Sends a command now or on the next connection, and again after each loss until it is answered. */
  async command(frame: Command, options: { resend?: boolean } = {}): Promise<Ok> {
    const { status } = this.#state
    if (status === 'closed') throw this.error()
    const resend = options.resend ?? true
    if (!resend && status !== 'open') throw new ParleyError('disconnected', 'Not connected.', true)
    const answer = this.#queue.add(frame, resend)
    if (status === 'open') this.post(frame)
    return answer
  }

  /** Sends a frame once. @returns false without a connection: then the frame is dropped */
  post(frame: ClientFrame): boolean {
    if (this.#active === undefined || this.#state.status !== 'open') return false
    this.#active.transport.send(frame)
    return true
  }

  /** The network or the page may be back: stop waiting. */
  wake(): void {
    const active = this.#active
    if (this.#state.status === 'waiting') {
      // With the same access token, the server would reject the client again.
      if (this.#state.turnedAway !== true) this.#retry()
    } else if (this.#state.status === 'open' && active !== undefined) {
      this.#ping(active)
      this.#checkHeartbeat(active)
    }
  }

  /** Asks for a fresh access token and sends it to the server. */
  renew(): void {
    if (this.#state.turnedAway === true) this.#retry()
    else this.#active?.transport.renew()
  }

  /** What to report about the previous connection. @param isRunning whether the session had an active run */
  resumption(isRunning: boolean): Resume | undefined {
    return this.#previous && resumption(this.#previous, this.clock.now(), isRunning)
  }

  /** Rejects the commands of a closed session, except its `detach`. @returns how many */
  failSession(session: string, error: ParleyError): number {
    return this.#queue.fail(error, ({ frame }) => frame.session === session && frame.type !== 'detach')
  }

  close(): void {
    if (this.#state.status === 'closed') return
    this.#apply({ type: 'close' })
    this.#end(this.error())
  }

  /** The reason why the connection has ended. */
  error(): ParleyError {
    return this.#state.error ?? new ParleyError('closed', 'The client was closed. Create another one.')
  }

  #apply(event: ConnectionEvent): void {
    const { clock } = this
    const next = nextConnection(this.#state, event, this.#policy, clock.now(), clock.random())
    this.#state = { ...next, transport: this.#selector.state }
  }

  #open(): void {
    this.#listeners.notify()
    this.#closeActive()
    const kind = this.#selector.opening
    this.#limitOpening(kind)
    const relay = new Relay()
    this.#activate(this.#create(kind, relay), relay)
  }

  #limitOpening(kind: Door): void {
    const loss = { kind: 'unreachable', code: ABNORMAL, reason: 'The connection timed out.', silent: true } as const
    this.#setTimer(this.#timeoutMs(kind), () => this.#lost(loss))
  }

  #create(kind: Door, handler: TransportHandler): Transport {
    const options = this.#transportOptions
    return kind === 'websocket' ? new WebSocketTransport(options, handler) : openHttp(kind, options, handler)
  }

  /** The timeout of opening a transport, in milliseconds. */
  #timeoutMs(kind: Door): number {
    const { connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = this.#options
    const { hasAlternatives, state } = this.#selector
    // With alternatives, a WebSocket gets less time, and so does the question whether the server is up.
    const isShort = hasAlternatives && (kind === 'websocket' || kind !== state.door)
    return isShort ? Math.min(connectTimeoutMs, this.#transportOptions.policy.timeoutMs) : connectTimeoutMs
  }

  #activate(transport: Transport, relay: Relay): ActiveTransport {
    const active: ActiveTransport = {
      transport,
      kind: undefined,
      receivedAt: this.clock.now(),
      pingedAt: undefined,
      heartbeatMs: 0,
    }
    this.#active = active
    relay.to = {
      connected: () => this.#active === active && this.#limitOpening('websocket'),
      frames: (frames) => this.#frames(active, frames),
      lost: (loss) => {
        if (this.#active === active) this.#lost(loss)
      },
    }
    return active
  }

  /** Moves to a better transport that a probe has already opened. */
  #moveTo({ transport, relay, welcome }: ProbedTransport): void {
    if (this.#state.status !== 'open') {
      transport.close()
      return
    }
    this.#closeActive()
    const active = this.#activate(transport, relay)
    this.#failConnectionBound('The connection was replaced.')
    this.#adopt(active, welcome, 'moved')
  }

  #frames(active: ActiveTransport, frames: readonly ServerFrame[]): void {
    if (this.#active !== active) return
    active.receivedAt = this.clock.now()
    active.pingedAt = undefined
    // Frames are delivered in the order of arrival, in as few calls as that allows.
    let others: ServerFrame[] = []
    const flush = (): void => {
      if (others.length > 0) this.#handler.frames(others)
      others = []
    }
    for (const frame of frames) {
      if (this.#active !== active) return
      // The clock of this device may have paused while it slept.
      if (frame.type === 'entry') this.#serverAheadMs = Math.max(this.#serverAheadMs, frame.time - active.receivedAt)
      if (frame.type === 'entry' || !this.#handleOwn(active, frame, flush)) others.push(frame)
    }
    if (this.#active === active) flush()
  }

  /** @returns false if the frame is not for the connection itself */
  #handleOwn(active: ActiveTransport, frame: ServerFrame, flush: () => void): boolean {
    switch (frame.type) {
      case 'welcome':
        this.#welcome(active, frame)
        return true
      case 'goaway':
        this.#apply({ type: 'goaway', reconnectAfterMs: frame.reconnectAfterMs })
        this.logger?.debug({ reconnectAfterMs: frame.reconnectAfterMs }, 'node is shutting down')
        this.#checkHeartbeat(active)
        return true
      case 'ok':
        // Entries that arrived before an `ok` must be visible before the command resolves.
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

  #welcome(active: ActiveTransport, frame: Welcome): void {
    if (this.#state.status !== 'connecting') return
    if (this.#selector.welcomed(frame.experiment?.doors)) {
      // Nothing was requested over this transport yet.
      this.#state = { ...this.#state, transport: this.#selector.state }
      this.#open()
      return
    }
    if (frame.time !== undefined) this.#serverAheadMs = frame.time - active.receivedAt
    this.#adopt(active, frame, 'welcome')
  }

  /** Continues over a new transport: first the sessions attach, then the queued commands follow. */
  #adopt(active: ActiveTransport, welcome: Welcome, type: 'welcome' | 'moved'): void {
    const { node, connection, heartbeatMs } = welcome
    active.heartbeatMs = heartbeatMs
    this.#selector.opened()
    const { door } = this.#selector.state
    active.kind = door
    this.#apply({ ...welcome, type })
    this.logger?.debug({ node, connection, door }, type === 'moved' ? 'moved to a better transport' : 'connected')
    if (door === 'websocket' && this.#selector.hasAlternatives) preloadHttp(this.logger)
    if (active.transport.releaseTools === undefined) this.#previous?.transport.releaseTools?.()
    this.#checkHeartbeat(active)
    this.#handler.opened()
    for (const waiting of this.#queue.ready()) this.post(waiting)
    this.#listeners.notify()
  }

  #delay(command: QueuedCommand, frame: ErrorFrame): void {
    const wait = frame.retryAfterMs ?? backoff(this.#policy, command.retries, this.clock.random())
    this.#handler.delayed(command.frame, frame, this.clock.now() + wait)
    const cancel = this.clock.after(wait, () => {
      this.#delays.delete(cancel)
      const frame = this.#queue.resume(command)
      if (frame !== undefined) this.post(frame)
    })
    this.#delays.add(cancel)
  }

  /** Handles the heartbeat, and the time at which to leave a node that is shutting down, with one timer. */
  #checkHeartbeat(active: ActiveTransport): void {
    if (this.#active !== active) return
    const now = this.clock.now()
    const { leaveAt } = this.#state
    if (leaveAt !== undefined && now >= leaveAt) {
      this.#lost({ kind: 'by-server', code: NORMAL, reason: 'The node is shutting down.' })
      return
    }
    let wait = leaveAt === undefined ? Number.POSITIVE_INFINITY : leaveAt - now
    if (active.heartbeatMs > 0) {
      const pingedMs = active.pingedAt === undefined ? undefined : now - active.pingedAt
      const next = heartbeat(now - active.receivedAt, active.heartbeatMs, pingedMs)
      if (next.do === 'leave') {
        this.#lost({ kind: 'broken', code: ABNORMAL, reason: 'The server stopped responding.' })
        return
      }
      if (next.do === 'ping') this.#ping(active)
      wait = Math.min(wait, next.nextMs)
    }
    if (Number.isFinite(wait)) this.#setTimer(Math.max(1, wait), () => this.#checkHeartbeat(active))
    else this.#cancelTimer?.()
  }

  #ping(active: ActiveTransport): void {
    active.pingedAt ??= this.clock.now()
    this.post({ type: 'ping' })
  }

  #retry(): void {
    this.#apply({ type: 'retry' })
    this.#open()
  }

  #lost(loss: Loss): void {
    const { status, since } = this.#state
    if (status !== 'connecting' && status !== 'open') return
    const { code, reason, retryAfterMs } = loss
    const openMs = loss.openMs ?? (since === undefined ? 0 : (this.#active?.receivedAt ?? since) - since)
    this.#closeActive()
    const fallsBack = this.#selector.lost(loss, openMs)
    const awaitsToken = code === NOT_AUTHENTICATED && this.#options.whenTurnedAway === 'wait'
    this.#apply({ type: 'lost', code, reason, fallsBack, retryAfterMs, awaitsToken })
    const { status: next, retryAt, attempt, error, transport } = this.#state
    this.logger?.debug({ code, attempt, status: next, door: transport.door }, 'connection lost')
    if (next === 'closed') {
      this.#end(error ?? new DisconnectedError(code, reason))
      return
    }
    this.#failConnectionBound('The connection was lost.')
    // A client that waits for an access token has no retry time.
    if (retryAt !== undefined) this.#setTimer(Math.max(0, retryAt - this.clock.now()), () => this.#retry())
    this.#handler.lost()
    this.#listeners.notify()
  }

  /** Rejects the commands that are valid only on the connection that has ended. */
  #failConnectionBound(reason: string): void {
    this.#queue.fail(new ParleyError('disconnected', reason, true), ({ resend }) => !resend)
  }

  #end(error: ParleyError): void {
    this.#closeActive()
    this.#previous?.transport.releaseTools?.()
    this.#selector.close()
    this.#unsubscribeWake?.()
    for (const cancel of this.#delays) cancel()
    this.#delays.clear()
    this.#queue.fail(error)
    this.#handler.ended(error)
    this.#listeners.notify()
  }

  /** Closes the current transport and stops its timer. */
  #closeActive(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const active = this.#active
    if (active === undefined) return
    this.#active = undefined
    active.transport.close()
    // One that never opened offers no tools, and must not hide one that did.
    if (active.kind !== undefined) this.#previous = { ...active, kind: active.kind }
  }

  #setTimer(ms: number, callback: () => void): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.clock.after(ms, callback)
  }
}
