// WebSocketConnection: one WebSocket, from its opening to its close. It owns the handshake, the user's identity, rate limits
// and backpressure of the socket. It keeps no session state.
//
//   opening ──hello──► greeting ──welcome──► open        any ──► closed
import {
  type ClientFrame,
  codecs,
  Disconnect,
  type ErrorCode,
  type FreshToken,
  type Hello,
  LIMITS,
  makeId,
  ReplyError,
} from '@parley/protocol'
import type { Authenticator, Identity } from '../../auth/authenticator.ts'
import type { Experiment } from '../../experiment/experiment.ts'
import type { ByteBudget } from '../../limit/byte-budget.ts'
import type { CommandGate } from '../../limit/command-gate.ts'
import { CommandRate, type CommandRateLimits } from '../../limit/command-rate.ts'
import type { Caller } from '../../session/commands/caller.ts'
import type { OutboxFlusher } from '../feed/outbox-flusher.ts'
import { CommandBacklog } from './command-backlog.ts'
import { CommandService, type CommandServiceEvents, type CommandServicePorts } from './command-service.ts'
import { ConnectionIdentity, type ConnectionIdentityEvents } from './connection-identity.ts'
import { EarlyFrames, type ReceivedFrame } from './early-frames.ts'
import { HelloDeadline } from './hello-deadline.ts'
import { Outbox, type OutboxEvents, type OutboxSocket } from './outbox.ts'
import { type ParsedFrame, parseMessage } from './parse-frames.ts'
import type { ConnectionStart } from './upgrade.ts'

export interface ConnectionLimits {
  /** Milliseconds until `hello` must arrive. */
  readonly helloMs: number
  readonly heartbeatMs: number
  readonly attachedSessions: number
  readonly commands: CommandRateLimits
  /** Unsent bytes above which entries wait for the socket. */
  readonly outboxBytes: number
}

export interface WebSocketConnectionPorts extends CommandServicePorts {
  readonly authenticator: Authenticator
  readonly flush: OutboxFlusher
  readonly node: string
  readonly limits: ConnectionLimits
  /** Rate limits of a user and of an address, over all transports. */
  readonly gate?: CommandGate | undefined
  /** For what clients have sent whose user is not known yet. */
  readonly strangers: ByteBudget
  readonly experiment?: Experiment | undefined
  /** The user is known. */
  greeted(connection: WebSocketConnection): void
  /** The connection is slow and must be supervised. */
  congested(connection: WebSocketConnection): void
}

/** The part of a uWS socket that a connection uses. */
export interface WebSocketConnectionSocket extends OutboxSocket {
  /** Calls `closed` before it returns. uWS keeps the descriptor for some seconds, until the client closes its side. */
  end(code: number, reason: string): void
  /** Calls `closed` before it returns, and frees the descriptor. */
  close(): void
  ping(): unknown
}

/** Maximum size of the message with `hello`. An access token has at most 16 kB. */
const HELLO_BYTES = 32 * 1024
/** Unanswered pings after which the client is gone, or has been sending one message for too long. */
const UNANSWERED_PINGS = 3

const OUTAGE = 'The log is temporarily unreachable. Live updates are paused.'

/** What the client sees after a drop (RFC 6455, section 7.1.5). */
const ABNORMAL = 1006

type Phase = 'opening' | 'greeting' | 'open' | 'closed'

export class WebSocketConnection implements OutboxEvents, CommandServiceEvents, ConnectionIdentityEvents {
  readonly id = makeId('con')
  /** The client's address, as the limits count it. */
  readonly address: string
  /** Whether the server ended the connection: its descriptor may outlive it. */
  hasEnded = false
  readonly #ports: WebSocketConnectionPorts
  readonly #socket: WebSocketConnectionSocket
  readonly #outbox: Outbox
  readonly #rate: CommandRate
  /** Set until the connection is open. */
  #deadline: HelloDeadline | undefined
  readonly #identity: ConnectionIdentity
  #phase: Phase = 'opening'
  /** Set once the connection is open. */
  #commands: CommandService | undefined
  /** Undefined once the connection is open. */
  #early: EarlyFrames | undefined
  /** The `traceparent` of the upgrade request, until the connection is open. */
  #trace: string | undefined
  readonly #backlog = new CommandBacklog()
  #draining = false
  #unansweredPings = 0

  constructor(ports: WebSocketConnectionPorts, socket: WebSocketConnectionSocket, start: ConnectionStart) {
    const { limits } = ports
    this.#ports = ports
    this.#socket = socket
    this.address = start.address
    this.#trace = start.trace
    this.#rate = new CommandRate(limits.commands, performance.now())
    this.#outbox = new Outbox(socket, start.codec, ports, this)
    this.#deadline = new HelloDeadline(limits.helloMs, socket, this)
    this.#early = new EarlyFrames(ports.strangers)
    this.#identity = new ConnectionIdentity(ports, this, start.token)
  }

  get unsentBytes(): number {
    return this.#outbox.unsentBytes
  }

  /** Milliseconds since the socket last accepted data; 0 if no bytes wait. */
  stalledMs(now: number): number {
    const since = this.#outbox.stalledSince
    return since === undefined ? 0 : now - since
  }

  /** Milliseconds for which the slowest reader has been behind. */
  behindMs(now: number): number {
    return this.#commands?.behindMs(now) ?? 0
  }

  congested(): void {
    this.#ports.congested(this)
  }

  overflowed(): void {
    this.end(new Disconnect('tooSlow', 'replies are not read'))
  }

  refused(code: ErrorCode): void {
    this.#ports.metrics?.refused('websocket', code, this.#commands?.variant)
  }

  expiring(expiresAt: number): void {
    this.#outbox.write({ type: 'expiring', expiresAt })
  }

  readFailed(): void {
    this.end(new Disconnect('internal'))
  }

  /** A WebSocket message. @param data valid only during the call */
  receive(data: ArrayBuffer, binary: boolean): void {
    if (this.#isClosed) return
    this.#unansweredPings = 0
    try {
      if (this.#phase === 'opening' && data.byteLength > HELLO_BYTES) {
        throw new Disconnect('frameTooLarge', `at most ${HELLO_BYTES} bytes before hello`)
      }
      const parsed = parseMessage(codecs[this.#outbox.codec], data, binary)
      const bytes = Math.ceil(data.byteLength / parsed.length)
      for (const item of parsed) this.#admit(item, bytes)
    } catch (error) {
      const isClientError = error instanceof Disconnect
      // A defect of the server ends this connection, not the process.
      if (!isClientError) this.#ports.logger.error({ err: error, connection: this.id }, 'failed to handle a message')
      this.end(isClientError ? error : new Disconnect('internal'))
    }
  }

  pong(): void {
    this.#unansweredPings = 0
    this.#deadline?.pong()
  }

  /**
   * A client cannot answer inside a message, unless it sends the message in fragments, so this also limits the time of
   * one. uWS's idle timeout does not: each byte restarts it.
   */
  ping(): void {
    // A ping behind unsent bytes would be late. The transport supervises those.
    if (this.#socket.getBufferedAmount() > 0) {
      this.#unansweredPings = 0
    } else if (this.#unansweredPings >= UNANSWERED_PINGS) {
      this.drop()
    } else {
      this.#unansweredPings += 1
      this.#socket.ping()
    }
  }

  drained(): void {
    this.#outbox.drained()
  }

  /** Asks the client to reconnect to another node, and refuses new messages from now on. */
  goAway(reason: string, reconnectAfterMs: number): void {
    this.#draining = true
    this.#commands?.drain()
    this.#outbox.write({ type: 'goaway', reason, reconnectAfterMs })
  }

  /** Notifies the client of an outage of the log: updates are paused, and commands may fail. */
  sendOutage(): void {
    if (this.#phase === 'open') this.#outbox.writeError(new ReplyError('unavailable', OUTAGE))
  }

  /** Sends `live` for all live sessions, after an outage of the log. */
  sendLive(): void {
    this.#commands?.sendLive()
  }

  /** Ends the connection. Queued messages are sent first, as far as the socket accepts them. */
  end(disconnect: Disconnect): void {
    if (this.#phase === 'closed') return
    this.#outbox.flush()
    this.#ports.metrics?.disconnected(disconnect.code, this.#commands?.variant)
    this.hasEnded = true
    this.#socket.end(disconnect.code, disconnect.reason)
  }

  /** Ends the connection without a close frame, and frees its memory. */
  drop(): void {
    if (this.#phase === 'closed') return
    this.#ports.metrics?.disconnected(ABNORMAL, this.#commands?.variant)
    this.#socket.close()
  }

  /** Call when the socket is closed: it must not be used again. */
  closed(): void {
    if (this.#isClosed) return
    this.#phase = 'closed'
    this.#deadline?.clear()
    this.#identity.close()
    this.#early?.take()
    this.#outbox.forgetSocket()
    // Close the writers before their outbox.
    this.#commands?.close()
    this.#outbox.close()
  }

  get #isClosed(): boolean {
    return this.#phase === 'closed'
  }

  #admit(item: ParsedFrame, bytes: number): void {
    if (this.#isClosed) return
    const id = item.error === undefined ? idOf(item.frame) : item.id
    const verdict = this.#rate.judge(performance.now())
    if (verdict.kind === 'disconnect') {
      this.end(new Disconnect('tooManyCommands'))
    } else if (verdict.kind === 'refuse') {
      this.#refuseByRate(verdict.retryAfterMs, id)
    } else if (item.error !== undefined) {
      this.#outbox.writeError(item.error, id)
    } else {
      const waitMs = isCommand(item.frame) ? (this.#ports.gate?.wait(this.#limitedUser, this.address) ?? 0) : 0
      if (waitMs > 0) this.#refuseByRate(waitMs, id)
      else this.#accept({ frame: item.frame, bytes })
    }
  }

  /** Undefined until the user is known, and if all users are anonymous. */
  get #limitedUser(): string | undefined {
    return this.#ports.authenticator.required ? this.#commands?.user : undefined
  }

  #refuseByRate(retryAfterMs: number, id: string | undefined): void {
    this.#outbox.writeError(new ReplyError('rate_limited', undefined, { retryAfterMs }), id)
  }

  #accept(received: ReceivedFrame): void {
    const { frame } = received
    if (frame.type === 'ping') {
      this.#outbox.write({ type: 'pong', ...(frame.nonce === undefined ? {} : { nonce: frame.nonce }) })
    } else if (this.#phase === 'opening') {
      if (frame.type === 'hello') void this.#greet(frame)
      else this.end(new Disconnect('notAuthenticated', 'hello must be the first command'))
    } else {
      this.#enqueue(received)
    }
  }

  #enqueue(received: ReceivedFrame): void {
    const commands = this.#commands
    const refusal = commands === undefined ? this.#early?.add(received) : this.#backlog.refusal(received.bytes)
    if (refusal !== undefined) this.#outbox.writeError(refusal, idOf(received.frame))
    else if (commands !== undefined) this.#apply(commands, received)
  }

  #apply(commands: CommandService, { frame, bytes }: ReceivedFrame): void {
    switch (frame.type) {
      case 'hello':
        this.#outbox.writeError(new ReplyError('invalid_frame', 'hello may be sent only once.'))
        break
      case 'token':
        this.#backlog.add(bytes)
        void this.#renewToken(frame, commands.user, bytes)
        break
      case 'presence':
        commands.showPresence(frame.session, frame.state)
        break
      case 'ping':
        break
      default:
        this.#backlog.add(bytes)
        commands.execute(frame, () => this.#backlog.remove(bytes))
    }
  }

  async #greet(hello: Hello): Promise<void> {
    this.#phase = 'greeting'
    const identity = await this.#identity.verify(hello.token)
    if (identity !== undefined) this.#welcome(identity, hello.client)
  }

  #welcome(identity: Identity, client: Hello['client']): void {
    if (this.#isClosed) return
    this.#deadline?.clear()
    // Frees the memory: a connection may live for days.
    this.#deadline = undefined
    const { node, limits } = this.#ports
    const { until, ...who } = identity
    const { user, name } = who
    const trace = this.#trace
    this.#trace = undefined
    const experiment = this.#ports.experiment?.assign(user, client?.id)
    this.#identity.watch(until)
    const caller: Caller = {
      connection: this.id,
      ...who,
      door: 'websocket',
      ...(experiment === undefined ? {} : { variant: experiment.variant }),
      ...(trace === undefined ? {} : { trace }),
    }
    const commands = new CommandService(this.#ports, this, this.#outbox, caller, client?.name)
    if (this.#draining) commands.drain()
    this.#commands = commands
    this.#phase = 'open'
    this.#ports.greeted(this)
    this.#outbox.write({
      type: 'welcome',
      connection: this.id,
      user,
      ...(name === undefined ? {} : { name }),
      node,
      heartbeatMs: limits.heartbeatMs,
      limits: {
        ...LIMITS,
        helloMs: limits.helloMs,
        attachedSessions: limits.attachedSessions,
        commandsPerSecond: limits.commands.perSecond,
        commandBurst: limits.commands.burst,
      },
      time: Date.now(),
      ...(until === undefined ? {} : { expiresAt: until }),
      ...(experiment === undefined ? {} : { experiment }),
    })
    const early = this.#early?.take() ?? []
    this.#early = undefined
    for (const received of early) {
      // Only the address was known when it arrived.
      const waitMs = isCommand(received.frame) ? (this.#ports.gate?.waitOfUser(this.#limitedUser) ?? 0) : 0
      if (waitMs > 0) this.#refuseByRate(waitMs, idOf(received.frame))
      else this.#apply(commands, received)
    }
  }

  /** @param user the connection's user */
  async #renewToken({ id, token }: FreshToken, user: string, bytes: number): Promise<void> {
    try {
      const fresh = await this.#identity.renew(token, user)
      if (this.#isClosed) return
      this.#identity.watch(fresh.until)
      this.#commands?.renew(fresh)
      this.#outbox.write({ type: 'ok', id })
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error
      if (!this.#isClosed) this.#outbox.writeError(error, id)
    } finally {
      this.#backlog.remove(bytes)
    }
  }
}

/** Pings and presence do not count as commands of the user. */
function isCommand({ type }: ClientFrame): boolean {
  return type !== 'ping' && type !== 'presence'
}

function idOf(frame: ClientFrame): string | undefined {
  return 'id' in frame ? frame.id : undefined
}
