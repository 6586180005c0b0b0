// The WebSocket transport: GET /v1/ws. It accepts connections, passes socket events to them, supervises slow ones, and asks
// all clients to reconnect elsewhere when the node shuts down.

import { setTimeout as sleep } from 'node:timers/promises'
import { codecs, Disconnect, LIMITS, ReplyError } from '@parley/protocol'
import type { ConnectionCount } from '../../limit/connection-count.ts'
import { asBytes } from '../feed/entry-message.ts'
import type { Broadcast } from '../feed/feed.ts'
import { OutboxFlusher } from '../feed/outbox-flusher.ts'
import type { TrustedProxies } from '../http/client-address.ts'
import { tooManyConnections } from '../http/failure.ts'
import { replyError } from '../http/http-reply.ts'
import { type OriginRules, originAllowed, originError } from '../http/origin.ts'
import type { TemplatedApp, WebSocket } from '../uws.ts'
import { HANDSHAKE_LIMITS, type HandshakeLimits, Handshakes } from './handshakes.ts'
import { Pinger } from './pinger.ts'
import { type ConnectionStart, readUpgrade, upgradeError, upgradeRequired } from './upgrade.ts'
import { type ConnectionLimits, WebSocketConnection, type WebSocketConnectionPorts } from './websocket-connection.ts'

export interface WebSocketTransportLimits extends ConnectionLimits {
  /** Milliseconds after which a socket is closed if its client accepts no data. */
  readonly stallMs: number
  /** Milliseconds for which a reader may stay behind before its connection is closed. */
  readonly behindMs: number
}

export interface WebSocketTransportOptions
  extends Omit<WebSocketConnectionPorts, 'flush' | 'greeted' | 'congested' | 'limits'> {
  readonly origins: OriginRules
  /** Shared with the HTTP transports. */
  readonly connections: ConnectionCount
  readonly proxies?: TrustedProxies | undefined
  readonly limits: WebSocketTransportLimits
  /** Set in tests. */
  readonly handshakes?: Partial<HandshakeLimits> | undefined
}

export interface WebSocketTransport {
  readonly connections: number
  /** Bytes that wait for slow sockets, over all connections. */
  readonly unsentBytes: number
  /** Refuses new connections, and asks clients to reconnect to another node, spread over `withinMs`. */
  drain(reason: string, withinMs: number): void
  /** Notifies clients that an outage of the log has started or ended. */
  notifyOutage(ongoing: boolean): void
  /** Resolves when all connections are closed, or after `waitMs`. */
  emptied(waitMs: number): Promise<void>
  /** Closes all connections. */
  close(): void
}

/** The user data of a socket. A single property, because uWS copies each property onto the socket's own object. */
interface SocketData {
  /** The upgrade's data until the socket is open, then the connection. */
  state: ConnectionStart | WebSocketConnection
}

/**
 * uWS's message limit. At this limit, uWS can only drop the connection, so it is higher than ours: a message in between is
 * closed with 4413. Any client may fill this much memory with an unfinished message, so it is not much higher.
 */
const UWS_MESSAGE_BYTES = 2 * LIMITS.frameBytes
/** Milliseconds until uWS closes the descriptor of a socket that the server has ended, if the client does not close it. */
const LINGER_MS = 12_000
/**
 * uWS buffers this many times the outbox limit before it drops messages. Only pongs can get there: one turn sends at most
 * one and a half times the limit in UTF-16 code units, each at most 3 bytes.
 */
const BUFFER_FACTOR = 8
const WATCH_MS = 1_000
/** The range of uWS's idle timeout in seconds; it counts in steps of four. */
const IDLE_MIN_S = 8
const IDLE_MAX_S = 960

export function openWebSocketTransport(app: TemplatedApp, options: WebSocketTransportOptions): WebSocketTransport {
  const { limits, logger, origins, connections: count } = options
  const all = new Set<WebSocketConnection>()
  const slow = new Set<WebSocketConnection>()
  const pinger = new Pinger(limits.heartbeatMs)
  const handshakes = new Handshakes(logger, {
    ...HANDSHAKE_LIMITS,
    bytes: options.strangers.max,
    messageBytes: UWS_MESSAGE_BYTES,
    ...options.handshakes,
  })
  let draining = false
  let watch: NodeJS.Timeout | undefined
  let whenEmpty: (() => void) | undefined

  const ports: WebSocketConnectionPorts = {
    ...options,
    flush: new OutboxFlusher(),
    greeted: (connection) => handshakes.delete(connection),
    congested(connection) {
      slow.add(connection)
      watch ??= setInterval(closeStalled, Math.min(WATCH_MS, limits.stallMs / 2))
    },
  }

  function closeStalled(): void {
    const now = performance.now()
    for (const connection of slow) {
      const stalled = connection.stalledMs(now)
      const behind = connection.behindMs(now)
      if (stalled > limits.stallMs || behind > limits.behindMs) connection.end(new Disconnect('tooSlow'))
      else if (stalled === 0 && behind === 0) slow.delete(connection)
    }
    if (slow.size > 0) return
    clearInterval(watch)
    watch = undefined
  }

  app.ws<SocketData>('/v1/ws', {
    maxPayloadLength: UWS_MESSAGE_BYTES,
    maxBackpressure: limits.outboxBytes * BUFFER_FACTOR,
    idleTimeout: idleSeconds(limits.heartbeatMs),
    sendPingsAutomatically: false,

    upgrade(response, request, context) {
      const invalid = upgradeError(request)
      if (invalid !== undefined) {
        replyError(response, invalid)
        return
      }
      const upgrade = readUpgrade(response, request, options.proxies)
      if (draining) {
        replyError(response, new ReplyError('going_away'))
        return
      }
      if (!originAllowed(origins, upgrade.origin, upgrade.host)) {
        replyError(response, originError(origins, upgrade.origin))
        return
      }
      const entered = count.enter(upgrade.address)
      if (entered !== 'entered') {
        replyError(response, tooManyConnections(entered))
        return
      }
      const { codec, token, address, trace } = upgrade
      const data: SocketData = { state: { codec, token, address, trace } }
      response.upgrade(data, upgrade.key, upgrade.protocol, upgrade.extensions, context)
    },

    open(socket) {
      const data = socket.getUserData()
      if (data.state instanceof WebSocketConnection) return
      const connection = new WebSocketConnection(ports, socket, data.state)
      pinger.add(connection)
      handshakes.add(connection)
      data.state = connection
      all.add(connection)
    },

    message(socket, message, isBinary) {
      connectionOf(socket)?.receive(message, isBinary)
    },

    drain(socket) {
      connectionOf(socket)?.drained()
    },

    pong(socket) {
      connectionOf(socket)?.pong()
    },

    close(socket) {
      const connection = connectionOf(socket)
      const { address } = socket.getUserData().state
      if (connection?.hasEnded === true) setTimeout(() => count.leave(address), LINGER_MS).unref()
      else count.leave(address)
      if (connection === undefined) return
      pinger.remove(connection)
      handshakes.delete(connection)
      all.delete(connection)
      slow.delete(connection)
      connection.closed()
      if (all.size === 0) whenEmpty?.()
    },
  })

  // A plain HTTP request without an upgrade.
  app.get('/v1/ws', (response) => {
    replyError(response, upgradeRequired())
  })

  return {
    get connections() {
      return all.size
    },

    get unsentBytes() {
      let bytes = 0
      for (const connection of slow) bytes += connection.unsentBytes
      return bytes
    },

    drain(reason, withinMs) {
      draining = true
      // Random delays, so that clients do not all reconnect at once.
      for (const connection of all) connection.goAway(reason, Math.floor(Math.random() * withinMs))
    },

    notifyOutage(ongoing) {
      if (ongoing) for (const connection of all) connection.sendOutage()
      else for (const connection of all) connection.sendLive()
    },

    async emptied(waitMs) {
      if (all.size === 0) return
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
      await Promise.race([empty, sleep(waitMs, undefined, { ref: false })])
    },

    close() {
      draining = true
      clearInterval(watch)
      pinger.close()
      handshakes.close()
      for (const connection of all) connection.end(new Disconnect('goingAway'))
    },
  }
}

function connectionOf(socket: WebSocket<SocketData>): WebSocketConnection | undefined {
  const { state } = socket.getUserData()
  return state instanceof WebSocketConnection ? state : undefined
}

/** A broadcast to the sockets of an app. */
export function broadcastBy(app: TemplatedApp): Broadcast {
  return (topic, data, codec) => {
    app.publish(topic, asBytes(data), codecs[codec].binary)
  }
}

/** A connection is dropped after three silent heartbeats: it has missed three pings. */
export function idleSeconds(heartbeatMs: number): number {
  const seconds = Math.ceil((heartbeatMs * 3) / 1000)
  return Math.min(IDLE_MAX_S, Math.max(IDLE_MIN_S, Math.ceil(seconds / 4) * 4))
}
