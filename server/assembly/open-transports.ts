// openTransports: what a node has for clients: the WebSocket, the doors over plain HTTP, the page. They share the readers' feeds
// and the count of connections, and stop together.
import { fileURLToPath } from 'node:url'
import { LIMITS } from '@parley/protocol'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { Experiment } from '../experiment/experiment.ts'
import { ConnectionCount } from '../limit/connection-count.ts'
import type { Metrics } from '../metric/metrics.ts'
import { Presence } from '../presence/presence.ts'
import type { SessionAdmin } from '../session/directory/session-admin.ts'
import type { SessionCache } from '../session/session-cache.ts'
import type { SessionStores } from '../session/session-replica.ts'
import type { SessionService } from '../session/session-service.ts'
import type { PresenceNews } from '../store/ports/presence-news.ts'
import type { ScatterGather } from '../store/ports/scatter-gather.ts'
import type { ActiveReaders } from '../transports/feed/active-readers.ts'
import type { Hub } from '../transports/feed/hub.ts'
import { trustedProxies } from '../transports/http/client-address.ts'
import { serveRoutes } from '../transports/http/router.ts'
import { serveSite } from '../transports/http/site.ts'
import { openJobTransport } from '../transports/jobs/job-routes.ts'
import { openOpenAiTransport } from '../transports/openai/openai-transport.ts'
import { documentRoutes } from '../transports/openapi/document-routes.ts'
import { helloRoute } from '../transports/session-http/hello.ts'
import { HttpConnections } from '../transports/session-http/http-connections.ts'
import { HttpPresence } from '../transports/session-http/http-presence.ts'
import { readersRoute } from '../transports/session-http/inspection.ts'
import { meRoute } from '../transports/session-http/me.ts'
import { Readings } from '../transports/session-http/readings.ts'
import { sessionRoutes } from '../transports/session-http/session-routes.ts'
import { openWebSocketTransport } from '../transports/websocket/websocket-transport.ts'
import type { Limits } from './open-limits.ts'

export interface TransportsPorts {
  readonly config: Config
  /** Ids of the models on offer. */
  readonly models: readonly string[]
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly shelf: SessionAdmin
  readonly hub: Hub
  readonly activeReaders: ActiveReaders
  /** Left out: nothing is measured. */
  readonly metrics: Metrics | undefined
  /** Left out: there is no other node. */
  readonly scatterGather?: ScatterGather
  /** Left out: as well. */
  readonly presenceNews?: PresenceNews | undefined
  readonly authenticator: Authenticator
  readonly limits: Limits
  readonly logger: Logger
  /** Runs that are driven on this node, as a part of those that may be. */
  readonly busy: () => number
}

export interface Transports {
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

export function openTransports(app: App, ports: TransportsPorts): Transports {
  const { config, service, stores, sessions, hub, activeReaders, authenticator, logger } = ports
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
  const webSocket = openWebSocketTransport(app, {
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
  const jobs = openJobTransport({
    service,
    stores,
    sessions,
    retentionMs: config.retention * 1000,
    busy: ports.busy,
    activeReaders,
  })
  const readings = new Readings({ service, stores, hub, logger, behindMs, metrics, activeReaders })
  const openAi = openOpenAiTransport({
    service,
    stores,
    sessions,
    hub,
    logger,
    models: ports.models,
    graceMs: ABANDONED_MS,
    activeReaders,
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
      activeReaders,
    }),
    helloRoute({ node: config.node, heartbeatMs }),
    meRoute({ service, account }),
    readersRoute({ service, hub, node: config.node, scatterGather: ports.scatterGather, activeReaders }),
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
  serveSite(app, fileURLToPath(new URL('../../../web/dist', import.meta.url)))

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
