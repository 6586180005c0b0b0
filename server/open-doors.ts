// openDoors: what a node has for clients: the WebSocket, the doors over plain HTTP, the page. They share the readers' feeds
// and the count of connections, and stop together.
import { fileURLToPath } from 'node:url'
import { LIMITS } from '@parley/protocol'
import type { Authenticator } from './auth/authenticator.ts'
import type { Config } from './config.ts'
import { serveRoutes } from './doors/http/router.ts'
import type { Hub } from './doors/hub.ts'
import { helloRoute } from './doors/session-http/hello.ts'
import { Readings } from './doors/session-http/readings.ts'
import { sessionRoutes } from './doors/session-http/session-routes.ts'
import { serveSite } from './doors/site.ts'
import { openWebSocketDoor } from './doors/websocket/websocket-door.ts'
import { ConnectionCount } from './limit/connection-count.ts'
import type { Logger } from './logger.ts'
import { Presence } from './presence/presence.ts'
import type { SessionStores } from './session/session.ts'
import type { SessionCache } from './session/session-cache.ts'
import type { SessionService } from './session/session-service.ts'

export interface DoorsPorts {
  readonly config: Config
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly hub: Hub
  readonly authenticator: Authenticator
  readonly logger: Logger
}

export interface Doors {
  /** Of both kinds. */
  readonly connections: number
  /** Lets nobody in any more, and asks everybody to come back elsewhere within so many milliseconds. */
  drain(reason: string, withinMs: number): void
  /** Tells everybody that the log is away, or that all that is read is live again. */
  tell(log: 'away' | 'back'): void
  /** Resolves when nobody is here, or after so many milliseconds. */
  emptied(waitMs: number): Promise<void>
  /** Ends all connections. */
  close(): void
}

type App = Parameters<typeof serveRoutes>[0]

export function openDoors(app: App, ports: DoorsPorts): Doors {
  const { config, service, stores, sessions, hub, authenticator, logger } = ports
  const origins = { allowed: config.origins, authenticated: authenticator.required || config.anonymous === 'yes' }
  const connections = new ConnectionCount({
    total: config.maxConnections,
    perAddress: config.maxConnectionsPerAddress,
  })
  const { outboxBytes, stallMs, behindMs, heartbeatMs } = config
  const webSocket = openWebSocketDoor(app, {
    service,
    stores,
    hub,
    presence: new Presence(),
    authenticator,
    logger,
    node: config.node,
    origins,
    connections,
    limits: {
      helloMs: config.helloMs,
      heartbeatMs,
      attachedSessions: config.maxSessions,
      commands: { perSecond: config.commandRate, burst: config.commandBurst },
      outboxBytes,
      stallMs,
      behindMs,
    },
  })
  const readings = new Readings({ stores, hub, logger, behindMs })
  const routes = [
    ...sessionRoutes({ service, stores, sessions, readings }),
    helloRoute({ node: config.node, heartbeatMs }),
  ]
  const http = serveRoutes(app, routes, {
    authenticator,
    origins,
    connections,
    requests: { perSecond: config.requestRate, burst: config.requestBurst },
    body: { bytes: LIMITS.frameBytes, ms: config.bodyMs },
    outboxBytes,
    stallMs,
    heartbeatMs,
    logger,
  })
  serveSite(app, fileURLToPath(new URL('../../web/dist', import.meta.url)))

  return {
    get connections() {
      return webSocket.connections + http.requests
    },
    drain(reason, withinMs) {
      webSocket.drain(reason, withinMs)
      http.drain(reason, withinMs)
    },
    tell(log) {
      webSocket.tell(log)
      readings.tell(log)
    },
    async emptied(waitMs) {
      await Promise.all([webSocket.emptied(waitMs), http.emptied(waitMs)])
    },
    close() {
      webSocket.close()
      http.close()
    },
  }
}
