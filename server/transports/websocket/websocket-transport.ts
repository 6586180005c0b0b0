// The WebSocket door: GET /v1/ws. Lets connections in, hands them what their sockets say, looks after the
// slow ones, and sends all away when the node stops.

import uws, { type TemplatedApp, type WebSocket } from 'uWebSockets.js'
import { codecs, Disconnect, ReplyError } from '@parley/protocol'
import type { ConnectionCount } from '../../limit/connection-count.ts'
import { asBytes } from '../feed/entry-message.ts'
import type { Broadcast } from '../feed/feed.ts'
import { OutboxFlusher } from '../feed/outbox-flusher.ts'
import type { TrustedProxies } from '../http/client-address.ts'
import { tooMany } from '../http/failure.ts'
import { HttpError } from '../http/http-error.ts'
import { replyError } from '../http/http-reply.ts'
import { type OriginRules, originAllowed } from '../http/origin.ts'
import { type ConnectionStart, readUpgrade } from './upgrade.ts'
import { type ConnectionLimits, WebSocketConnection, type WebSocketConnectionPorts } from './websocket-connection.ts'

export interface WebSocketTransportLimits extends ConnectionLimits {
  /** Milliseconds for which a socket may take nothing of what waits for it. */
  readonly stallMs: number
  /** Milliseconds for which a reader that was live may stay behind. */
  readonly behindMs: number
}

export interface WebSocketTransportOptions extends Omit<WebSocketConnectionPorts, 'flush' | 'congested' | 'limits'> {
  readonly origins: OriginRules
  /** Requests over plain HTTP count as well. */
  readonly connections: ConnectionCount
  /** Whom to believe for whom they speak. */
  readonly proxies?: TrustedProxies | undefined
  readonly limits: WebSocketTransportLimits
}

export interface WebSocketTransport {
  readonly connections: number
  /** Bytes that wait for sockets, over all connections. */
  readonly unsentBytes: number
  /** Lets nobody in any more, and asks everybody to come back elsewhere within so many milliseconds. */
  drain(reason: string, withinMs: number): void
  /** Tells everybody that the log is away, or that all that is read is live again. */
  tell(log: 'away' | 'back'): void
  /** Resolves when all connections are gone, or after so many milliseconds. */
  emptied(waitMs: number): Promise<void>
  /** Ends all connections. */
  close(): void
}

/** All of a socket's state; uWS hands it back with every event. One property: it copies each onto an object of the socket's own. */
interface SocketData {
  /** The upgrade's part; once the socket is open, the connection. */
  held: ConnectionStart | WebSocketConnection
}

/**
 * Bytes of a message up to which its sender is told with 4413 that it was too large. uWS can only cut the
 * connection at its own bound, so that bound is higher than ours: a sender costs this much for a moment.
 */
const CUT_BYTES = 16 * 1024 * 1024
/**
 * uWS buffers this many times the outbox's bound before it would drop (pongs, as nothing else gets so far: of what is
 * queued and broadcast in one turn, at most one and a half times the bound in UTF-16 code units, of 3 bytes at worst).
 */
const BUFFER_FACTOR = 8
const WATCH_MS = 1_000
/** Seconds that uWS allows to begin with, and counts in steps of four. */
const IDLE_MIN_S = 8
const IDLE_MAX_S = 960

export function openWebSocketTransport(app: TemplatedApp, options: WebSocketTransportOptions): WebSocketTransport {
  const { limits, logger, origins, connections: count } = options
  const all = new Set<WebSocketConnection>()
  const slow = new Set<WebSocketConnection>()
  let draining = false
  let watch: NodeJS.Timeout | undefined
  let whenEmpty: (() => void) | undefined

  const ports: WebSocketConnectionPorts = {
    ...options,
    flush: new OutboxFlusher(),
    congested(connection) {
      slow.add(connection)
      watch ??= setInterval(lookAfterSlow, Math.min(WATCH_MS, limits.stallMs / 2))
    },
  }

  function lookAfterSlow(): void {
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
    maxPayloadLength: CUT_BYTES,
    maxBackpressure: limits.outboxBytes * BUFFER_FACTOR,
    compression: uws.DISABLED,
    idleTimeout: idleSeconds(limits.heartbeatMs),
    sendPingsAutomatically: true,

    upgrade(response, request, context) {
      const upgrade = readUpgrade(response, request, options.proxies)
      if (draining) {
        replyError(response, new ReplyError('going_away'))
        return
      }
      if (!originAllowed(origins, upgrade.origin, upgrade.host)) {
        replyError(response, new ReplyError('forbidden', 'Pages of this origin may not connect.'))
        return
      }
      const entered = count.enter(upgrade.address)
      if (entered !== 'entered') {
        logger.warn({ limit: entered }, 'too many connections')
        replyError(response, tooMany(entered))
        return
      }
      const { codec, token, address, trace } = upgrade
      const data: SocketData = { held: { codec, token, address, trace } }
      response.upgrade(data, upgrade.key, upgrade.protocol, upgrade.extensions, context)
    },

    open(socket) {
      const data = socket.getUserData()
      if (data.held instanceof WebSocketConnection) return
      const connection = new WebSocketConnection(ports, socket, data.held)
      data.held = connection
      all.add(connection)
    },

    message(socket, message, isBinary) {
      connectionOf(socket)?.receive(message, isBinary)
    },

    drain(socket) {
      connectionOf(socket)?.drained()
    },

    close(socket) {
      count.leave(socket.getUserData().held.address)
      const connection = connectionOf(socket)
      if (connection === undefined) return
      all.delete(connection)
      slow.delete(connection)
      connection.closed()
      if (all.size === 0) whenEmpty?.()
    },
  })

  // What comes here by plain HTTP.
  app.get('/v1/ws', (response) => {
    replyError(response, new HttpError('upgrade_required', undefined, { headers: { Upgrade: 'websocket' } }))
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
      // Spread, so that those who come back do not all do so at once.
      for (const connection of all) connection.goAway(reason, Math.floor(Math.random() * withinMs))
    },

    tell(log) {
      if (log === 'away') for (const connection of all) connection.tellAway()
      else for (const connection of all) connection.tellLive()
    },

    async emptied(waitMs) {
      if (all.size === 0) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        whenEmpty = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    },

    close() {
      draining = true
      clearInterval(watch)
      for (const connection of all) connection.end(new Disconnect('goingAway'))
    },
  }
}

function connectionOf(socket: WebSocket<SocketData>): WebSocketConnection | undefined {
  const { held } = socket.getUserData()
  return held instanceof WebSocketConnection ? held : undefined
}

/** Broadcasts to the sockets of an app. */
export function broadcastBy(app: TemplatedApp): Broadcast {
  return (topic, data, codec) => {
    app.publish(topic, asBytes(data), codecs[codec].binary)
  }
}

/** A connection that was silent for three heartbeats is dropped; uWS pings it before. */
function idleSeconds(heartbeatMs: number): number {
  const seconds = Math.ceil((heartbeatMs * 3) / 1000)
  return Math.min(IDLE_MAX_S, Math.max(IDLE_MIN_S, Math.ceil(seconds / 4) * 4))
}
