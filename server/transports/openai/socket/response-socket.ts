// ResponseSocket: one WebSocket of the Responses API. Responses with the same `stream_id` are made one after the other, others at the
// same time. Responses that are not stored live until the next one of their stream has ended, at most as long as the socket.
import { makeId, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import { TokenClock } from '../../../auth/token-clock.ts'
import type { CommandGate } from '../../../limit/command-gate.ts'
import { CommandRate, type CommandRateLimits } from '../../../limit/command-rate.ts'
import type { TransportMetrics } from '../../../metric/transport-metrics.ts'
import type { OutboxFlusher } from '../../feed/outbox-flusher.ts'
import { isFault } from '../../http/failure.ts'
import { conforming, decodeJson } from '../../http/http-body.ts'
import { HttpError } from '../../http/http-error.ts'
import type { DrainNotice } from '../../http/http-exchange.ts'
import type { JobName } from '../../jobs/job-id.ts'
import { callerOf } from '../../session-http/caller.ts'
import { Outbox, type OutboxEvents, type OutboxSocket } from '../../websocket/outbox.ts'
import type { OpenAiPorts } from '../openai-ports.ts'
import { checkResponse } from '../response-request.ts'
import { sendResponse } from '../response-send.ts'
import { streamResponse } from '../response-stream.ts'
import { isFailedAtStart, replyFailed } from '../run-failure.ts'
import { drainDelayMs, untilRunAnswers } from '../run-wait.ts'
import { FrameExchange, type FrameSocket, type SocketClient } from './frame-exchange.ts'
import { type CancelFrame, type CreateFrame, ResponseFrame, type SteerFrame, streamIdIn } from './response-frames.ts'
import { type Current, type Lane, ResponseLanes } from './response-lanes.ts'
import { SteerError, steerResponse } from './response-steer.ts'
import { CLOSES } from './socket-closes.ts'
import { WarmUps } from './warm-ups.ts'

export interface ResponseSocketPorts {
  readonly openAi: OpenAiPorts
  readonly logger: Logger
  readonly metrics?: TransportMetrics | undefined
  readonly gate?: CommandGate | undefined
  /** Whether users are known. */
  readonly authenticated: boolean
  readonly flush: OutboxFlusher
  readonly limits: {
    readonly commands: CommandRateLimits
    readonly outboxBytes: number
    /** Of one message, and of all that wait for their turn. */
    readonly messageBytes: number
  }
  /** The socket is slow and must be supervised. */
  congested(socket: ResponseSocket): void
}

interface UpgradedSocket extends OutboxSocket {
  /** Calls `closed` before it returns. */
  end(code: number, reason: string): void
  close(): void
  ping(): unknown
}

/** Responses that wait for their turn. */
const MAX_WAITING = 32
const UNANSWERED_PINGS = 3

export class ResponseSocket implements FrameSocket, OutboxEvents {
  readonly client: SocketClient
  /** Whether the server ended it: its descriptor may outlive it. */
  hasEnded = false
  draining: DrainNotice | undefined
  readonly #ports: ResponseSocketPorts
  readonly #openAi: OpenAiPorts
  readonly #socket: UpgradedSocket
  readonly #outbox: Outbox
  readonly #rate: CommandRate
  readonly #clock: TokenClock
  readonly #lanes = new ResponseLanes()
  readonly #warmUps: WarmUps
  readonly #exchanges = new Set<FrameExchange>()
  /** Of the responses that the client cannot find again if it disconnects. */
  readonly #watched = new Set<AbortController>()
  #waiting = 0
  #waitingBytes = 0
  #unansweredPings = 0
  #isClosed = false
  #drainTimer: NodeJS.Timeout | undefined

  constructor(ports: ResponseSocketPorts, socket: UpgradedSocket, client: SocketClient) {
    this.client = client
    this.#ports = ports
    this.#socket = socket
    this.#openAi = { ...ports.openAi, unstored: this.#lanes.unstored }
    this.#warmUps = new WarmUps(ports.limits.messageBytes)
    this.#outbox = new Outbox(socket, 'json', ports, this)
    this.#rate = new CommandRate(ports.limits.commands, performance.now())
    const expired = (): void => this.end(CLOSES.refused, 'the access token has expired')
    this.#clock = new TokenClock({ expiring: () => undefined, expired })
    this.#clock.start(client.identity.until)
  }

  get full(): boolean {
    return this.#outbox.full
  }

  get unsentBytes(): number {
    return this.#outbox.unsentBytes
  }

  /** Milliseconds since the socket last accepted data; 0 if no bytes wait. */
  stalledMs(now: number): number {
    const since = this.#outbox.stalledSince
    return since === undefined ? 0 : now - since
  }

  congested(): void {
    this.#ports.congested(this)
  }

  overflowed(): void {
    this.end(CLOSES.later, 'replies are not read')
  }

  refused(): void {
    // Only for errors in Parley's own form.
  }

  send(text: string): void {
    this.#outbox.writeEntries(text)
  }

  sendReply(text: string): void {
    if (this.full) this.overflowed()
    else this.send(text)
  }

  whenWritable(): Promise<boolean> {
    return this.#outbox.whenWritable()
  }

  /** @param data valid only during the call */
  receive(data: ArrayBuffer, isBinary: boolean): void {
    if (this.#isClosed) return
    this.#unansweredPings = 0
    if (isBinary) {
      this.end(CLOSES.unsupported, 'only text messages are supported')
      return
    }
    const verdict = this.#rate.judge(performance.now())
    if (verdict.kind === 'disconnect') {
      this.end(CLOSES.later, 'too many messages')
      return
    }
    let streamId: string | undefined
    try {
      if (data.byteLength > this.#ports.limits.messageBytes) {
        const words = `A message may have ${this.#ports.limits.messageBytes} bytes. Send larger requests with POST /v1/responses.`
        throw new HttpError('too_large', words)
      }
      const value = decodeJson(Buffer.from(data))
      streamId = streamIdIn(value)
      const { identity, address } = this.client
      const user = this.#ports.authenticated ? identity.user : undefined
      const waitMs = verdict.kind === 'refuse' ? verdict.retryAfterMs : this.#ports.gate?.wait(user, address)
      if (waitMs !== undefined && waitMs > 0) {
        throw new ReplyError('rate_limited', undefined, { retryAfterMs: waitMs })
      }
      const frame = conforming(ResponseFrame, value)
      if (frame.type === 'response.create') this.#enqueue(frame, streamId, data.byteLength)
      else if (frame.type === 'response.steer') void this.#steer(frame)
      else void this.#cancel(frame)
    } catch (error) {
      this.#refuse(new FrameExchange(this, undefined, streamId), error)
    }
  }

  drained(): void {
    this.#outbox.drained()
  }

  pong(): void {
    this.#unansweredPings = 0
  }

  ping(): void {
    // The transport supervises a socket with unsent bytes.
    if (this.#socket.getBufferedAmount() > 0) this.#unansweredPings = 0
    else if (this.#unansweredPings >= UNANSWERED_PINGS) this.#socket.close()
    else {
      this.#unansweredPings += 1
      this.#socket.ping()
    }
  }

  /** Refuses new responses, and ends the socket when those under way have ended, or some time within the drain. */
  goAway(draining: DrainNotice): void {
    this.draining = draining
    const delay = this.#lanes.isIdle ? Math.random() * draining.withinMs * 0.5 : drainDelayMs(draining.withinMs)
    this.#drainTimer = setTimeout(() => this.end(CLOSES.restart, draining.reason), delay)
  }

  end(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#outbox.flush()
    this.#ports.metrics?.disconnected(code, this.client.experiment?.variant)
    this.hasEnded = true
    this.#socket.end(code, reason)
  }

  /** Call when the socket is closed: it must not be used again. */
  closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#drainTimer)
    this.#clock.stop()
    this.#outbox.forgetSocket()
    this.#lanes.close()
    for (const watched of this.#watched) watched.abort()
    for (const exchange of this.#exchanges) exchange.end()
    this.#outbox.close()
  }

  #refuse(exchange: FrameExchange, error: unknown): void {
    this.#logFault(exchange, error)
    exchange.refuse(error)
  }

  #logFault({ request }: FrameExchange, error: unknown): void {
    if (!isFault(error)) return
    const { id, method, path } = request
    this.#ports.logger.error({ err: error, request: id, method, path }, 'request failed')
  }

  /** @throws ReplyError queue_full */
  #enqueue(frame: CreateFrame, streamId: string | undefined, bytes: number): void {
    const lane = this.#lanes.at(streamId)
    const isOver = this.#waitingBytes + bytes > this.#ports.limits.messageBytes
    if (lane.isBusy && (this.#waiting >= MAX_WAITING || isOver)) throw new ReplyError('queue_full')
    this.#waiting += 1
    this.#waitingBytes += bytes
    lane.waiting.push(() => {
      this.#waiting -= 1
      this.#waitingBytes -= bytes
      return this.#create(lane, frame, bytes)
    })
    void this.#work(lane)
  }

  async #work(lane: Lane): Promise<void> {
    await this.#lanes.work(lane, () => this.#isClosed)
    if (this.draining !== undefined && this.#lanes.isIdle) this.end(CLOSES.restart, this.draining.reason)
  }

  #create(lane: Lane, frame: CreateFrame, bytes: number): Promise<void> {
    if (frame.generate === false) return this.#warmUp(lane, frame, bytes)
    return this.#respond(lane, frame, frame.store !== false, async (exchange) => {
      const whole = this.#warmUps.whole(frame)
      checkResponse(whole)
      if (this.draining !== undefined) throw new ReplyError('going_away')
      return sendResponse(this.#openAi, exchange.request, whole)
    })
  }

  async #warmUp({ id }: Lane, frame: CreateFrame, bytes: number): Promise<void> {
    const exchange = new FrameExchange(this, frame, id)
    this.#exchanges.add(exchange)
    try {
      if (this.draining !== undefined) throw new ReplyError('going_away')
      const events = await this.#warmUps.add(this.#openAi, exchange.request, frame, bytes)
      for (const event of events) exchange.send({ ...event })
    } catch (error) {
      this.#refuse(exchange, error)
    } finally {
      this.#exchanges.delete(exchange)
    }
  }

  /** Resolves at the end of the response. Does not reject. */
  async #respond(
    lane: Lane,
    frame: unknown,
    isStored: boolean,
    begin: (exchange: FrameExchange) => Promise<JobName>,
  ): Promise<void> {
    const exchange = new FrameExchange(this, frame, lane.id)
    this.#exchanges.add(exchange)
    const watched = new AbortController()
    this.#watched.add(watched)
    try {
      const name = await begin(exchange)
      const { request } = exchange
      const watch = { request: { signal: watched.signal } }
      const done = this.#openAi.abandoned.watch(watch, name, callerOf(request, 'openai'), isStored)
      const found = await untilRunAnswers(this.#openAi, exchange, name)
      if (found === undefined) return
      if (isFailedAtStart(found)) {
        done()
        replyFailed(exchange, found)
        return
      }
      const current: Current = { name, exchange, isStored, isSteered: false }
      lane.current = current
      let isOver = false
      const finish = (): void => {
        isOver = true
        if (isStored) done()
      }
      await streamResponse(this.#openAi, exchange, { name, found }, { done: finish, format: exchange.format })
      await exchange.ended
      if (!isOver) watched.abort()
      if (!isOver || isStored) return
      if (current.isSteered) done('keeps')
      else if (this.#isClosed) done()
      else this.#lanes.keep(lane, name, done)
    } catch (error) {
      // The client has no id by which to find it.
      watched.abort()
      this.#refuse(exchange, error)
    } finally {
      lane.current = undefined
      this.#watched.delete(watched)
      this.#exchanges.delete(exchange)
    }
  }

  async #cancel({ response_id: id }: CancelFrame): Promise<void> {
    const active = this.#lanes.active(id)
    const exchange = new FrameExchange(this, undefined, active?.lane.id)
    try {
      if (active === undefined) throw new ReplyError('run_not_found', 'The response is not active on this connection.')
      const command = { type: 'cancel' as const, id: makeId('cmd'), ...active.current.name }
      await this.#openAi.service.cancel(command, callerOf(exchange.request, 'openai'))
    } catch (error) {
      // It has ended meanwhile, which the client sees.
      if (!(error instanceof ReplyError && error.code === 'no_active_run')) this.#refuse(exchange, error)
    }
  }

  async #steer({ previous_response_id: id, input }: SteerFrame): Promise<void> {
    const active = this.#lanes.active(id)
    const exchange = new FrameExchange(this, undefined, active?.lane.id)
    const target = { previous_response_id: id }
    const sequence = { sequence_number: active?.current.exchange.sequence ?? 0 }
    try {
      if (active === undefined) {
        throw new SteerError('response_not_found', 'The response is not active on this connection.')
      }
      if (active.current.isSteered) {
        throw new SteerError('too_many_pending_steers', 'The response is being steered already.')
      }
      const { lane, current } = active
      current.isSteered = true
      const steering = steerResponse(this.#openAi, exchange.request, current.name, input).then(
        (name) => {
          exchange.send({ type: 'response.steer.accepted', ...sequence, steer: { id: makeId('steer'), ...target } })
          lane.waiting.unshift(() => this.#respond(lane, undefined, current.isStored, async () => name))
        },
        (error: unknown) => {
          current.isSteered = false
          throw error
        },
      )
      // The response may end before the steering is known to have succeeded.
      await Promise.all([current.exchange.holdUntil(steering), steering])
      void this.#work(lane)
    } catch (error) {
      const isKnown = error instanceof SteerError
      if (!isKnown) this.#logFault(exchange, error)
      const { code, message } = isKnown ? error : new SteerError('successor_creation_failed', 'Something went wrong.')
      const fields = { code, message, type: 'invalid_request_error' }
      exchange.send({ type: 'response.steer.failed', ...sequence, steer: { ...target, input }, error: fields })
    }
  }
}
