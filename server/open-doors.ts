// openDoors: what a node has for clients: the WebSocket, the doors over plain HTTP, the page. They share the readers' feeds
// and the count of connections, and stop together.
import { fileURLToPath } from 'node:url'
import { LIMITS } from '@parley/protocol'
import type { Authenticator } from './auth/authenticator.ts'
import type { Config } from './config.ts'
import { trustedProxies } from './doors/address.ts'
import type { Audience } from './doors/audience.ts'
import { serveRoutes } from './doors/http/router.ts'
import type { Hub } from './doors/hub.ts'
import { openJobDoor } from './doors/jobs/job-routes.ts'
import { openOpenAiDoor } from './doors/openai/openai-door.ts'
import { documentRoutes } from './doors/openapi/document-routes.ts'
import { helloRoute } from './doors/session-http/hello.ts'
import { HttpConnections } from './doors/session-http/http-connections.ts'
import { HttpPresence } from './doors/session-http/http-presence.ts'
import { readersRoute } from './doors/session-http/inspection.ts'
import { meRoute } from './doors/session-http/me.ts'
import { Readings } from './doors/session-http/readings.ts'
import { sessionRoutes } from './doors/session-http/session-routes.ts'
import { serveSite } from './doors/site.ts'
import { openWebSocketDoor } from './doors/websocket/websocket-door.ts'
import { Experiment } from './experiment/experiment.ts'
import { ConnectionCount } from './limit/connection-count.ts'
import type { PresenceNews } from './log/presence-news.ts'
import type { RollCall } from './log/roll-call.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metric/metrics.ts'
import type { Limits } from './open-limits.ts'
import { Presence } from './presence/presence.ts'
import type { SessionStores } from './session/session.ts'
import type { SessionCache } from './session/session-cache.ts'
import type { SessionService } from './session/session-service.ts'
import type { SessionShelf } from './session/session-shelf.ts'

export interface DoorsPorts {
  readonly config: Config
  /** Ids of the models on offer. */
  readonly models: readonly string[]
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly shelf: SessionShelf
  readonly hub: Hub
  readonly audience: Audience
  /** Left out: nothing is measured. */
  readonly metrics: Metrics | undefined
  /** Left out: there is no other node. */
  readonly rollCall?: RollCall
  /** Left out: as well. */
  readonly presenceNews?: PresenceNews | undefined
  readonly authenticator: Authenticator
  readonly limits: Limits
  readonly logger: Logger
  /** Runs that are driven on this node, as a part of those that may be. */
  readonly busy: () => number
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

/** Milliseconds that a connection named over plain HTTP stays after its last stream or poll. */
const CONNECTION_MS = 30_000
/** Milliseconds for which a chat completion goes on whose caller has left. */
const ABANDONED_MS = 1_000

type App = Parameters<typeof serveRoutes>[0]

export function openDoors(app: App, ports: DoorsPorts): Doors {
  const { config, service, stores, sessions, hub, audience, authenticator, logger } = ports
  const metrics = ports.metrics?.doors
  const origins = { allowed: config.origins, authenticated: authenticator.required || config.anonymous === 'yes' }
  const connections = new ConnectionCount({
    total: config.maxConnections,
    perAddress: config.maxConnectionsPerAddress,
  })
  const { gate, account } = ports.limits
  const experiment = config.experiment && new Experiment(config.experiment, authenticator.required)
  const proxies = trustedProxies(config.trustedProxies)
  const { outboxBytes, stallMs, behindMs, heartbeatMs } = config
  const presence = new Presence(ports.presenceNews)
  const webSocket = openWebSocketDoor(app, {
    service,
    stores,
    hub,
    presence,
    authenticator,
    logger,
    metrics,
    node: config.node,
    origins,
    connections,
    gate,
    experiment,
    proxies,
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
  const jobs = openJobDoor({
    service,
    stores,
    sessions,
    retentionMs: config.retention * 1000,
    busy: ports.busy,
    audience,
  })
  const readings = new Readings({ service, stores, hub, logger, behindMs, metrics, audience })
  const openAi = openOpenAiDoor({
    service,
    stores,
    sessions,
    hub,
    logger,
    models: ports.models,
    graceMs: ABANDONED_MS,
    audience,
    metrics,
  })
  const named = new HttpConnections(service, CONNECTION_MS)
  const watching = new HttpPresence(presence)
  const routes = [
    ...sessionRoutes({
      service,
      stores,
      sessions,
      shelf: ports.shelf,
      presence,
      watching,
      readings,
      connections: named,
      jobs,
      audience,
    }),
    helloRoute({ node: config.node, heartbeatMs }),
    meRoute({ service, account }),
    readersRoute({ service, hub, node: config.node, rollCall: ports.rollCall, audience }),
    ...jobs.routes,
    ...openAi.routes,
  ]
  const http = serveRoutes(app, [...routes, ...documentRoutes(routes)], {
    authenticator,
    origins,
    connections,
    requests: { perSecond: config.requestRate, burst: config.requestBurst },
    gate,
    experiment,
    proxies,
    body: { bytes: LIMITS.frameBytes, ms: config.bodyMs },
    outboxBytes,
    stallMs,
    heartbeatMs,
    logger,
    metrics,
  })
  serveSite(app, fileURLToPath(new URL('../../web/dist', import.meta.url)))

  if (ports.metrics !== undefined) {
    ports.metrics.doors.watch(ports.metrics.registry, () => ({
      webSockets: webSocket.connections,
      requests: http.requests,
      streams: http.streams,
      unsentBytes: webSocket.unsentBytes + http.unsentBytes,
      followed: hub.size,
    }))
  }

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
      jobs.close()
      openAi.close()
      named.close()
      watching.close()
      presence.close()
    },
  }
}
