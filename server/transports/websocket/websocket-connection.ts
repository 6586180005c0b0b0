// WebSocketConnection: one WebSocket, from its opening to its close. Whatever belongs to the socket lives here, in its
// user data: who it is, and what it may still do. It keeps no state of a session.
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
import { TokenClock, type TokenClockEvents } from '../../auth/token-clock.ts'
import type { Experiment } from '../../experiment/experiment.ts'
import type { CommandGate } from '../../limit/command-gate.ts'
import { CommandRate, type CommandRateLimits } from '../../limit/command-rate.ts'
import type { Caller } from '../../session/commands/caller.ts'
import type { OutboxFlusher } from '../feed/outbox-flusher.ts'
import { CommandService, type CommandServiceOwner, type CommandServicePorts } from './command-service.ts'
import { Outbox, type OutboxOwner, type OutboxSocket } from './outbox.ts'
import { type ParsedFrame, parseMessage } from './parse-frames.ts'
import type { ConnectionStart } from './upgrade.ts'

export interface ConnectionLimits {
  /** Milliseconds until `hello` has to be here. */
  readonly helloMs: number
  readonly heartbeatMs: number
  readonly attachedSessions: number
  readonly commands: CommandRateLimits
  /** Bytes unsent above which entries wait for the socket. */
  readonly outboxBytes: number
}

export interface WebSocketConnectionPorts extends CommandServicePorts {
  readonly authenticator: Authenticator
  readonly flush: OutboxFlusher
  readonly node: string
  readonly limits: ConnectionLimits
  /** Of one user, and from one address, over every door. */
  readonly gate?: CommandGate | undefined
  readonly experiment?: Experiment | undefined
  /** The connection is slow: it is to be looked after. */
  congested(connection: WebSocketConnection): void
}

/** A uWS socket, as far as a connection needs it. */
export interface WebSocketConnectionSocket extends OutboxSocket {
  /** Leads to `closed` before it returns. */
  end(code: number, reason: string): void
}

/** Commands that are not answered yet, and the bytes of their frames: more are refused. */
const PENDING_COMMANDS = 1_024
const PENDING_BYTES = 4 * 1024 * 1024
/** Milliseconds after which to send a command again that was refused because too many are not answered. */
const PENDING_RETRY_MS = 1_000

const AWAY = 'The log cannot be reached at the moment: what you read stands still.'

type Phase = 'opening' | 'greeting' | 'open' | 'closed'

interface Taken {
  readonly frame: ClientFrame
  readonly bytes: number
}

export class WebSocketConnection implements OutboxOwner, CommandServiceOwner, TokenClockEvents {
  readonly id = makeId('con')
  /** What is counted as one address. */
  readonly address: string
  readonly #ports: WebSocketConnectionPorts
  readonly #socket: WebSocketConnectionSocket
  readonly #outbox: Outbox
  readonly #rate: CommandRate
  /** There until the connection is open. */
  #helloTimer: NodeJS.Timeout | undefined
  #identity: Promise<Identity> | undefined
  /** There where the token ends. */
  #tokenClock: TokenClock | undefined
  #phase: Phase = 'opening'
  /** There once the connection is open. */
  #desk: CommandService | undefined
  /** Frames that came while the token was checked. */
  #early: Taken[] | undefined
  /** There until the connection is open, where it was told. */
  #trace: string | undefined
  #pending = 0
  #pendingBytes = 0
  #draining = false

  constructor(ports: WebSocketConnectionPorts, socket: WebSocketConnectionSocket, start: ConnectionStart) {
    const { limits } = ports
    this.#ports = ports
    this.#socket = socket
    this.address = start.address
    this.#trace = start.trace
    this.#rate = new CommandRate(limits.commands, performance.now())
    this.#outbox = new Outbox(socket, start.codec, ports, this)
    this.#helloTimer = setTimeout(() => this.end(new Disconnect('noHello')), limits.helloMs)
    if (start.token !== undefined) {
      this.#identity = ports.authenticator.authenticate(start.token)
      this.#identity.catch((error: unknown) => this.#refuse(error))
    }
  }

  get unsentBytes(): number {
    return this.#outbox.unsentBytes
  }

  /** Milliseconds for which bytes have waited for the socket without any leaving. */
  stalledMs(now: number): number {
    const since = this.#outbox.waitingSince
    return since === undefined ? 0 : now - since
  }

  /** Milliseconds for which the reader that is behind the longest has not been live. */
  behindMs(now: number): number {
    return this.#desk?.behindMs(now) ?? 0
  }

  congested(): void {
    this.#ports.congested(this)
  }

  overflowed(): void {
    this.end(new Disconnect('tooSlow', 'replies are not read'))
  }

  refused(code: ErrorCode): void {
    this.#ports.metrics?.refused('websocket', code, this.#desk?.variant)
  }

  expiring(expiresAt: number): void {
    this.#outbox.write({ type: 'expiring', expiresAt })
  }

  expired(): void {
    this.end(new Disconnect('notAuthenticated', 'the token is over'))
  }

  /** A session can no longer be read: the log is broken. */
  failed(): void {
    this.end(new Disconnect('internal'))
  }

  /** A WebSocket message. @param data valid only during the call */
  receive(data: ArrayBuffer, binary: boolean): void {
    if (this.#isClosed) return
    try {
      const parsed = parseMessage(codecs[this.#outbox.codec], data, binary)
      const bytes = Math.ceil(data.byteLength / parsed.length)
      for (const item of parsed) this.#judge(item, bytes)
    } catch (error) {
      const isTheirs = error instanceof Disconnect
      // A fault of ours costs this connection, not the process.
      if (!isTheirs) this.#ports.logger.error({ err: error, connection: this.id }, 'a message could not be taken')
      this.end(isTheirs ? error : new Disconnect('internal'))
    }
  }

  drained(): void {
    this.#outbox.drained()
  }

  /** Tells the client that this node stops; new messages are refused from now on. */
  goAway(reason: string, reconnectAfterMs: number): void {
    this.#draining = true
    this.#desk?.drain()
    this.#outbox.write({ type: 'goaway', reason, reconnectAfterMs })
  }

  /** The log is away: what is read stands still, and commands may be refused. */
  tellAway(): void {
    if (this.#phase === 'open') this.#outbox.writeError(new ReplyError('unavailable', AWAY))
  }

  /** It is back: whoever was live is so again. */
  tellLive(): void {
    this.#desk?.tellLive()
  }

  /** Ends the connection; what was to be sent before goes out first where the socket takes it. */
  end(disconnect: Disconnect): void {
    if (this.#phase === 'closed') return
    this.#outbox.flush()
    this.#ports.metrics?.disconnected(disconnect.code, this.#desk?.variant)
    this.#socket.end(disconnect.code, disconnect.reason)
  }

  /** The socket is gone; it must not be touched any more. */
  closed(): void {
    if (this.#isClosed) return
    this.#phase = 'closed'
    clearTimeout(this.#helloTimer)
    this.#tokenClock?.stop()
    this.#early = undefined
    this.#outbox.forgetSocket()
    // First those who write, then where they write to.
    this.#desk?.close()
    this.#outbox.close()
  }

  get #isClosed(): boolean {
    return this.#phase === 'closed'
  }

  #judge(item: ParsedFrame, bytes: number): void {
    if (this.#isClosed) return
    const id = item.error === undefined ? idOf(item.frame) : item.id
    const verdict = this.#rate.judge(performance.now())
    if (verdict.kind === 'disconnect') {
      this.end(new Disconnect('tooManyCommands'))
    } else if (verdict.kind === 'refuse') {
      this.#refuseForNow(verdict.retryAfterMs, id)
    } else if (item.error !== undefined) {
      this.#outbox.writeError(item.error, id)
    } else {
      // Signs of life are the connection's own, and cost nothing.
      const isCommand = item.frame.type !== 'ping' && item.frame.type !== 'presence'
      const waitMs = isCommand ? this.#waitAtGate() : 0
      if (waitMs > 0) this.#refuseForNow(waitMs, id)
      else this.#take({ frame: item.frame, bytes })
    }
  }

  /** Milliseconds; 0: there is no need to. */
  #waitAtGate(): number {
    const { gate, authenticator } = this.#ports
    return gate?.wait(authenticator.required ? this.#desk?.user : undefined, this.address) ?? 0
  }

  #refuseForNow(retryAfterMs: number, id: string | undefined): void {
    this.#outbox.writeError(new ReplyError('rate_limited', undefined, { retryAfterMs }), id)
  }

  #take(taken: Taken): void {
    const { frame, bytes } = taken
    if (frame.type === 'ping') {
      this.#outbox.write({ type: 'pong', ...(frame.nonce === undefined ? {} : { nonce: frame.nonce }) })
    } else if (this.#phase === 'opening') {
      if (frame.type === 'hello') this.#greet(frame)
      else this.end(new Disconnect('notAuthenticated', 'hello comes first'))
    } else if (this.#pending >= PENDING_COMMANDS || this.#pendingBytes + bytes > PENDING_BYTES) {
      const retry = { retryAfterMs: PENDING_RETRY_MS }
      const error = new ReplyError('rate_limited', 'Too many commands are not answered yet.', retry)
      this.#outbox.writeError(error, idOf(frame))
    } else if (this.#desk === undefined) {
      this.#hold(bytes)
      this.#early ??= []
      this.#early.push(taken)
    } else {
      this.#apply(this.#desk, taken)
    }
  }

  #apply(desk: CommandService, { frame, bytes }: Taken): void {
    switch (frame.type) {
      case 'hello':
        this.#outbox.writeError(new ReplyError('invalid_frame', 'hello comes once.'))
        break
      case 'token':
        this.#hold(bytes)
        void this.#refresh(frame, desk.user, bytes)
        break
      case 'presence':
        this.#showPresence(desk, frame.session, frame.state)
        break
      case 'ping':
        break
      default:
        this.#hold(bytes)
        desk.take(frame, () => this.#release(bytes))
    }
  }

  #greet(hello: Hello): void {
    this.#phase = 'greeting'
    this.#identity ??= this.#ports.authenticator.authenticate(hello.token)
    this.#identity.then(
      (identity) => this.#welcome(identity, hello.client),
      (error: unknown) => this.#refuse(error),
    )
  }

  #welcome(identity: Identity, client: Hello['client']): void {
    if (this.#isClosed) return
    clearTimeout(this.#helloTimer)
    // What nobody needs any more would stay for as long as the connection does.
    this.#helloTimer = undefined
    this.#identity = undefined
    const { node, limits } = this.#ports
    const { user, name, role, until, limits: own } = identity
    const trace = this.#trace
    this.#trace = undefined
    const experiment = this.#ports.experiment?.assign(user, client?.id)
    this.#holdsUntil(until)
    const caller: Caller = {
      connection: this.id,
      user,
      role,
      door: 'websocket',
      ...(experiment === undefined ? {} : { variant: experiment.variant }),
      ...(name === undefined ? {} : { name }),
      ...(own === undefined ? {} : { limits: own }),
      ...(trace === undefined ? {} : { trace }),
    }
    const desk = new CommandService(this.#ports, this, this.#outbox, caller, client?.name)
    if (this.#draining) desk.drain()
    this.#desk = desk
    this.#phase = 'open'
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
      ...(until === undefined ? {} : { expiresAt: until }),
      ...(experiment === undefined ? {} : { experiment }),
    })
    const early = this.#early ?? []
    this.#early = undefined
    for (const taken of early) {
      this.#release(taken.bytes)
      this.#apply(desk, taken)
    }
  }

  /** @param until Unix milliseconds; undefined: the token holds for ever */
  #holdsUntil(until: number | undefined): void {
    if (until !== undefined) this.#tokenClock ??= new TokenClock(this)
    this.#tokenClock?.start(until)
  }

  /** @param user whose connection it is */
  async #refresh({ id, token }: FreshToken, user: string, bytes: number): Promise<void> {
    try {
      const fresh = await this.#ports.authenticator.authenticate(token)
      if (this.#isClosed) return
      if (fresh.user !== user) throw new ReplyError('forbidden', 'The fresh token speaks for another user.')
      this.#holdsUntil(fresh.until)
      this.#desk?.renew(fresh.limits)
      this.#outbox.write({ type: 'ok', id })
    } catch (error) {
      const isTheirs = error instanceof ReplyError
      if (!isTheirs) this.#ports.logger.error({ err: error, connection: this.id }, 'a token could not be checked')
      if (!this.#isClosed) this.#outbox.writeError(isTheirs ? error : new ReplyError('internal'), id)
    } finally {
      this.#release(bytes)
    }
  }

  #refuse(error: unknown): void {
    if (error instanceof ReplyError && error.code === 'unauthenticated') {
      this.end(new Disconnect('notAuthenticated'))
    } else {
      this.#ports.logger.error({ err: error, connection: this.id }, 'a token could not be checked')
      this.end(new Disconnect('internal'))
    }
  }

  #showPresence(desk: CommandService, session: string, state: Record<string, unknown>): void {
    try {
      if (JSON.stringify(state).length > LIMITS.presenceBytes) throw new ReplyError('too_large')
      desk.showPresence(session, state)
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error
      this.#outbox.writeError(error)
    }
  }

  #hold(bytes: number): void {
    this.#pending += 1
    this.#pendingBytes += bytes
  }

  #release(bytes: number): void {
    this.#pending -= 1
    this.#pendingBytes -= bytes
  }
}

function idOf(frame: ClientFrame): string | undefined {
  return 'id' in frame ? frame.id : undefined
}
