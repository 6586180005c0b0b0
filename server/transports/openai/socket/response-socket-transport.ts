// The Responses API over WebSocket: GET /v1/responses with an upgrade. A socket is accepted at once, and its access token is verified
// then, because uWS rarely closes sockets that are accepted after the handler has returned. The transport passes socket events on,
// supervises slow sockets, and ends them when the node shuts down.
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplyError } from '@parley/protocol'
import type { Authenticator, Identity } from '../../../auth/authenticator.ts'
import type { Experiment } from '../../../experiment/experiment.ts'
import type { ByteBudget } from '../../../limit/byte-budget.ts'
import type { ConnectionCount } from '../../../limit/connection-count.ts'
import { OutboxFlusher } from '../../feed/outbox-flusher.ts'
import type { TrustedProxies } from '../../http/client-address.ts'
import { tooManyConnections } from '../../http/failure.ts'
import type { HttpError } from '../../http/http-error.ts'
import type { DrainNotice } from '../../http/http-exchange.ts'
import { replyError } from '../../http/http-reply.ts'
import { type OriginRules, originAllowed, originError } from '../../http/origin.ts'
import type { HttpResponse, TemplatedApp, WebSocket } from '../../uws.ts'
import { HANDSHAKE_LIMITS, Handshakes } from '../../websocket/handshakes.ts'
import { Pinger } from '../../websocket/pinger.ts'
import { readUpgrade, type UpgradeRequest, upgradeError } from '../../websocket/upgrade.ts'
import { idleSeconds } from '../../websocket/websocket-transport.ts'
import { asOpenAiError } from '../openai-error.ts'
import { type Arrival, ArrivingSocket } from './arriving-socket.ts'
import { ResponseSocket, type ResponseSocketPorts } from './response-socket.ts'
import { CLOSES } from './socket-closes.ts'

export interface ResponseSocketOptions extends Omit<ResponseSocketPorts, 'authenticated' | 'flush' | 'congested'> {
  readonly authenticator: Authenticator
  readonly origins: OriginRules
  /** Shared with all transports. */
  readonly connections: ConnectionCount
  /** For messages of clients whose user is not known yet. */
  readonly strangers: ByteBudget
  readonly proxies?: TrustedProxies | undefined
  readonly experiment?: Experiment | undefined
  readonly heartbeatMs: number
  /** Milliseconds after which a socket is closed if its client accepts no data. */
  readonly stallMs: number
}

export interface ResponseSockets {
  readonly connections: number
  /** Bytes that wait for slow sockets. */
  readonly unsentBytes: number
  /** Refuses new sockets and responses, and ends the sockets within the given time. */
  drain(reason: string, withinMs: number): void
  /** Resolves when all sockets are closed, or after `waitMs`. */
  emptied(waitMs: number): Promise<void>
  close(): void
}

/** The user data of a socket. A single property, because uWS copies each property onto the socket's own object. */
interface SocketData {
  state: Arrival | ArrivingSocket | ResponseSocket
}

/** uWS can only drop the connection at its own limit. A message in between gets an error. */
const EXCESS_BYTES = 1024 * 1024
/** uWS buffers this many times the outbox limit before it drops messages. */
const BUFFER_FACTOR = 8
const WATCH_MS = 1_000
/** Milliseconds until uWS closes the descriptor of a socket that the server has ended, if the client does not close it. */
const LINGER_MS = 12_000

export function openResponseSockets(app: TemplatedApp, options: ResponseSocketOptions): ResponseSockets {
  const { limits, logger, origins, connections: count, authenticator, gate, experiment, stallMs } = options
  const arriving = new Set<ArrivingSocket>()
  const all = new Set<ResponseSocket>()
  const slow = new Set<ResponseSocket>()
  const pinger = new Pinger(options.heartbeatMs)
  const handshakes = new Handshakes(logger, {
    ...HANDSHAKE_LIMITS,
    bytes: options.strangers.max,
    messageBytes: limits.messageBytes + EXCESS_BYTES,
  })
  let draining: DrainNotice | undefined
  let watch: NodeJS.Timeout | undefined
  let whenEmpty: (() => void) | undefined

  const ports: ResponseSocketPorts = {
    ...options,
    authenticated: authenticator.required,
    flush: new OutboxFlusher(),
    congested(socket) {
      slow.add(socket)
      watch ??= setInterval(closeStalled, Math.min(WATCH_MS, stallMs / 2))
    },
  }

  function closeStalled(): void {
    const now = performance.now()
    for (const socket of slow) {
      const stalled = socket.stalledMs(now)
      if (stalled > stallMs) socket.end(CLOSES.later, 'too slow for too long')
      else if (stalled === 0) slow.delete(socket)
    }
    if (slow.size > 0) return
    clearInterval(watch)
    watch = undefined
  }

  /** Does not reject. */
  async function identify(socket: WebSocket<SocketData>, arrival: ArrivingSocket): Promise<void> {
    try {
      const identity = await authenticator.authenticate(arrival.client.token)
      const refusal = rateError(gate?.waitOfUser(authenticator.required ? identity.user : undefined))
      if (refusal !== undefined) throw refusal
      if (!arrival.isClosed) welcome(socket, arrival, identity)
    } catch (error) {
      if (!(error instanceof ReplyError)) logger.error({ err: error }, 'failed to verify an access token')
      if (!arrival.isClosed) arrival.refuse(error)
    }
  }

  function welcome(socket: WebSocket<SocketData>, arrival: ArrivingSocket, identity: Identity): void {
    const { address, trace } = arrival.client
    const client = { identity, address, trace, experiment: experiment?.assign(identity.user, undefined) }
    const own = new ResponseSocket(ports, socket, client)
    socket.getUserData().state = own
    arriving.delete(arrival)
    handshakes.delete(arrival)
    all.add(own)
    pinger.add(own)
    if (draining !== undefined) own.goAway(draining)
    for (const { data, isBinary } of arrival.take()) own.receive(data, isBinary)
  }

  app.ws<SocketData>('/v1/responses', {
    maxPayloadLength: limits.messageBytes + EXCESS_BYTES,
    maxBackpressure: limits.outboxBytes * BUFFER_FACTOR,
    idleTimeout: idleSeconds(options.heartbeatMs),
    sendPingsAutomatically: false,

    upgrade(response, request, context) {
      const invalid = upgradeError(request)
      const upgrade = readUpgrade(response, request, options.proxies)
      const { key, extensions, address, token, trace } = upgrade
      const refusal = invalid ?? refusalOf(upgrade)
      if (refusal !== undefined) {
        refuse(response, refusal)
        return
      }
      const entered = count.enter(address)
      if (entered !== 'entered') {
        refuse(response, tooManyConnections(entered))
        return
      }
      response.upgrade<SocketData>({ state: { address, token, trace } }, key, '', extensions, context)
    },

    open(socket) {
      const data = socket.getUserData()
      if (isSocket(data.state)) return
      const arrival = new ArrivingSocket(socket, data.state, options)
      data.state = arrival
      arriving.add(arrival)
      handshakes.add(arrival)
      void identify(socket, arrival)
    },

    message(socket, message, isBinary) {
      const { state } = socket.getUserData()
      if (isSocket(state)) state.receive(message, isBinary)
    },

    drain(socket) {
      socketOf(socket)?.drained()
    },

    pong(socket) {
      socketOf(socket)?.pong()
    },

    close(socket) {
      const { state: own } = socket.getUserData()
      if (!isSocket(own)) return
      const { address } = own.client
      if (own.hasEnded) setTimeout(() => count.leave(address), LINGER_MS).unref()
      else count.leave(address)
      own.closed()
      if (own instanceof ArrivingSocket) {
        arriving.delete(own)
        handshakes.delete(own)
        return
      }
      pinger.remove(own)
      all.delete(own)
      slow.delete(own)
      if (all.size === 0) whenEmpty?.()
    },
  })

  function refusalOf({ origin, host, address, token = '' }: UpgradeRequest): HttpError | ReplyError | undefined {
    if (draining !== undefined) return new ReplyError('going_away')
    if (!originAllowed(origins, origin, host)) return originError(origins, origin)
    if (authenticator.required && token === '') return new ReplyError('unauthenticated')
    return rateError(gate?.waitOfAddress(address))
  }

  function refuse(response: HttpResponse, error: HttpError | ReplyError): void {
    replyError(response, error, false, asOpenAiError)
  }

  return {
    get connections() {
      return all.size + arriving.size
    },

    get unsentBytes() {
      let bytes = 0
      for (const socket of slow) bytes += socket.unsentBytes
      return bytes
    },

    drain(reason, withinMs) {
      if (draining !== undefined) return
      draining = { reason, withinMs }
      for (const socket of all) socket.goAway(draining)
    },

    async emptied(waitMs) {
      if (all.size === 0) return
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
      await Promise.race([empty, sleep(waitMs, undefined, { ref: false })])
    },

    close() {
      draining ??= { reason: 'the node is shutting down', withinMs: 0 }
      clearInterval(watch)
      pinger.close()
      handshakes.close()
      for (const socket of [...arriving, ...all]) socket.end(CLOSES.restart, draining.reason)
    },
  }
}

function rateError(waitMs = 0): ReplyError | undefined {
  return waitMs > 0 ? new ReplyError('rate_limited', undefined, { retryAfterMs: waitMs }) : undefined
}

function isSocket(state: SocketData['state']): state is ArrivingSocket | ResponseSocket {
  return state instanceof ResponseSocket || state instanceof ArrivingSocket
}

function socketOf(socket: WebSocket<SocketData>): ResponseSocket | undefined {
  const { state } = socket.getUserData()
  return state instanceof ResponseSocket ? state : undefined
}
