// The Responses API over WebSocket: GET /v1/responses with an upgrade. It knows the user before it accepts a socket, so that a refusal
// has an HTTP status. Then it passes socket events on, supervises slow sockets, and ends them when the node shuts down.
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplyError } from '@parley/protocol'
import type { Authenticator, Identity } from '../../../auth/authenticator.ts'
import type { Experiment } from '../../../experiment/experiment.ts'
import type { ConnectionCount } from '../../../limit/connection-count.ts'
import { OutboxFlusher } from '../../feed/outbox-flusher.ts'
import type { TrustedProxies } from '../../http/client-address.ts'
import { asReplyError, tooManyConnections } from '../../http/failure.ts'
import type { HttpError } from '../../http/http-error.ts'
import type { DrainNotice } from '../../http/http-exchange.ts'
import { replyError } from '../../http/http-reply.ts'
import { type OriginRules, originAllowed, originError } from '../../http/origin.ts'
import type { HttpResponse, TemplatedApp, WebSocket } from '../../uws.ts'
import { Pinger } from '../../websocket/pinger.ts'
import { readUpgrade, upgradeError } from '../../websocket/upgrade.ts'
import { idleSeconds } from '../../websocket/websocket-transport.ts'
import { asOpenAiError } from '../openai-error.ts'
import type { SocketClient } from './frame-exchange.ts'
import { CLOSES, ResponseSocket, type ResponseSocketPorts } from './response-socket.ts'

export interface ResponseSocketOptions extends Omit<ResponseSocketPorts, 'authenticated' | 'flush' | 'congested'> {
  readonly authenticator: Authenticator
  readonly origins: OriginRules
  /** Shared with all transports. */
  readonly connections: ConnectionCount
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
  state: SocketClient | ResponseSocket
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
  const all = new Set<ResponseSocket>()
  const slow = new Set<ResponseSocket>()
  const pinger = new Pinger(options.heartbeatMs)
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

  /** @throws ReplyError */
  async function identify(token: string | undefined, address: string): Promise<Identity> {
    refuseByRate(gate?.waitOfAddress(address))
    const identity = await authenticator.authenticate(token)
    refuseByRate(gate?.waitOfUser(authenticator.required ? identity.user : undefined))
    return identity
  }

  app.ws<SocketData>('/v1/responses', {
    maxPayloadLength: limits.messageBytes + EXCESS_BYTES,
    maxBackpressure: limits.outboxBytes * BUFFER_FACTOR,
    idleTimeout: idleSeconds(options.heartbeatMs),
    sendPingsAutomatically: false,

    upgrade(response, request, context) {
      const invalid = upgradeError(request)
      const upgrade = readUpgrade(response, request, options.proxies)
      const { address, trace, token } = upgrade
      const refusal = invalid ?? refusalOf(upgrade.origin, upgrade.host)
      if (refusal !== undefined) {
        refuse(response, refusal)
        return
      }
      const entered = count.enter(address)
      if (entered !== 'entered') {
        logger.warn({ limit: entered }, 'too many connections')
        refuse(response, tooManyConnections(entered))
        return
      }
      let isAborted = false
      response.onAborted(() => {
        isAborted = true
        count.leave(address)
      })
      identify(token, address).then(
        (identity) => {
          if (isAborted) return
          const client = { identity, address, trace, experiment: experiment?.assign(identity.user, undefined) }
          response.cork(() => {
            response.upgrade<SocketData>({ state: client }, upgrade.key, '', upgrade.extensions, context)
          })
        },
        (error: unknown) => {
          if (!(error instanceof ReplyError)) logger.error({ err: error }, 'failed to verify an access token')
          if (isAborted) return
          count.leave(address)
          refuse(response, asReplyError(error))
        },
      )
    },

    open(socket) {
      const data = socket.getUserData()
      if (data.state instanceof ResponseSocket) return
      const own = new ResponseSocket(ports, socket, data.state)
      data.state = own
      all.add(own)
      pinger.add(own)
      if (draining !== undefined) own.goAway(draining)
    },

    message(socket, message, isBinary) {
      socketOf(socket)?.receive(message, isBinary)
    },

    drain(socket) {
      socketOf(socket)?.drained()
    },

    pong(socket) {
      socketOf(socket)?.pong()
    },

    close(socket) {
      const own = socketOf(socket)
      const { state } = socket.getUserData()
      const { address } = state instanceof ResponseSocket ? state.client : state
      if (own?.hasEnded === true) setTimeout(() => count.leave(address), LINGER_MS).unref()
      else count.leave(address)
      if (own === undefined) return
      pinger.remove(own)
      all.delete(own)
      slow.delete(own)
      own.closed()
      if (all.size === 0) whenEmpty?.()
    },
  })

  function refusalOf(origin: string, host: string): HttpError | ReplyError | undefined {
    if (draining !== undefined) return new ReplyError('going_away')
    return originAllowed(origins, origin, host) ? undefined : originError(origins, origin)
  }

  function refuse(response: HttpResponse, error: HttpError | ReplyError): void {
    replyError(response, error, false, asOpenAiError)
  }

  return {
    get connections() {
      return all.size
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
      for (const socket of [...all]) socket.end(CLOSES.restart, draining.reason)
    },
  }
}

/** @throws ReplyError rate_limited */
function refuseByRate(waitMs = 0): void {
  if (waitMs > 0) throw new ReplyError('rate_limited', undefined, { retryAfterMs: waitMs })
}

function socketOf(socket: WebSocket<SocketData>): ResponseSocket | undefined {
  const { state } = socket.getUserData()
  return state instanceof ResponseSocket ? state : undefined
}
