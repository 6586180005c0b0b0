// openTransports: opens the transports of a node: the WebSocket, the HTTP APIs, and the web page. They share the feeds and the
// connection limits, and drain together.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { LIMITS, makeId, type Offers } from '@parley/protocol'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Secrets } from '../auth/secret-file.ts'
import { signingSecrets } from '../auth/signing-secrets.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { version } from '../config/version.ts'
import { Experiment } from '../experiment/experiment.ts'
import { ByteBudget } from '../limit/byte-budget.ts'
import { ConnectionCount } from '../limit/connection-count.ts'
import type { Metrics } from '../metric/metrics.ts'
import type { ModelCatalog } from '../model/model.ts'
import { promptRules } from '../model/prompt-rules.ts'
import { unsupportedOptions } from '../model/provider-options.ts'
import { acceptsFile } from '../model/provider-prompt.ts'
import { Presence } from '../presence/presence.ts'
import { localAgent } from '../run/agent/agents.ts'
import { inputTokens } from '../run/input-tokens.ts'
import type { SessionAdmin } from '../session/directory/session-admin.ts'
import type { SessionCache } from '../session/session-cache.ts'
import type { SessionStores } from '../session/session-replica.ts'
import type { SessionService } from '../session/session-service.ts'
import type { NodeNews } from '../store/ports/node-news.ts'
import type { ScatterGather } from '../store/ports/scatter-gather.ts'
import type { ActiveReaders } from '../transports/feed/active-readers.ts'
import type { Hub } from '../transports/feed/hub.ts'
import { trustedProxies } from '../transports/http/client-address.ts'
import { serveRoutes } from '../transports/http/router.ts'
import { serveSite } from '../transports/http/site.ts'
import { openJobTransport } from '../transports/jobs/job-routes.ts'
import type { ExtraTool } from '../transports/mcp/extra-tool.ts'
import { openMcpTransport } from '../transports/mcp/mcp-transport.ts'
import { openOpenAiTransport } from '../transports/openai/openai-transport.ts'
import { openResponseSockets } from '../transports/openai/socket/response-socket-transport.ts'
import { documentRoutes } from '../transports/openapi/document-routes.ts'
import { helloRoute } from '../transports/session-http/hello.ts'
import { HttpConnections } from '../transports/session-http/http-connections.ts'
import { HttpPresence } from '../transports/session-http/http-presence.ts'
import { HttpReaders } from '../transports/session-http/http-readers.ts'
import { readersRoute } from '../transports/session-http/inspection.ts'
import { meRoute } from '../transports/session-http/me.ts'
import { sessionRoutes } from '../transports/session-http/session-routes.ts'
import { openWebSocketTransport } from '../transports/websocket/websocket-transport.ts'
import { authConfigOf } from './auth-config.ts'
import type { Limits } from './open-limits.ts'

export interface TransportsPorts {
  readonly config: Config
  readonly models: ModelCatalog
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly sessionAdmin: SessionAdmin
  readonly hub: Hub
  readonly activeReaders: ActiveReaders
  /** Undefined if metrics are off. */
  readonly metrics: Metrics | undefined
  /** Undefined on a single node. */
  readonly scatterGather?: ScatterGather
  /** Undefined on a single node. */
  readonly presenceNews?: NodeNews | undefined
  /** Undefined on a single node. */
  readonly cancelNews?: NodeNews | undefined
  readonly authenticator: Authenticator
  /** The secrets in the configured file. */
  readonly secrets: Secrets | undefined
  readonly limits: Limits
  readonly logger: Logger
  readonly mcpTools?: readonly ExtraTool[] | undefined
  /** The part of this node's run capacity that is in use, from 0 to 1. */
  readonly busy: () => number
}

export interface Transports {
  /** WebSocket connections and open HTTP requests. */
  readonly connections: number
  /** Refuses new clients, and asks clients to reconnect to another node, spread over `withinMs`. */
  drain(reason: string, withinMs: number): void
  /** Notifies clients that an outage of the log has started or ended. */
  notifyOutage(ongoing: boolean): void
  /** Resolves when no connection is open, or after `waitMs`. */
  emptied(waitMs: number): Promise<void>
  /** Closes all connections at once. Resolves when their last changes are stored, or after a short time. */
  close(): Promise<void>
}

/** Milliseconds that an HTTP client's named connection lasts after its last stream or poll. */
const CONNECTION_MS = 30_000
/** The built page: in the published package, else in the repository. */
const PUBLISHED_PAGE = new URL('../page/', import.meta.url)
const PAGE = existsSync(PUBLISHED_PAGE) ? PUBLISHED_PAGE : new URL('../../../web/dist/', import.meta.url)
/** Milliseconds after which the run of a chat completion is cancelled if its caller has disconnected. */
const ABANDONED_MS = 1_000

/** Limit of a message on a Responses WebSocket: each socket may hold one that is not finished. */
const RESPONSE_MESSAGE_BYTES = 4 * 1024 * 1024

/** One part of so many of the memory for bodies is for clients whose user is not known yet. */
const STRANGERS = 4

type App = Parameters<typeof serveRoutes>[0]

export function openTransports(app: App, ports: TransportsPorts): Transports {
  const { config, service, stores, sessions, hub, activeReaders, authenticator, logger } = ports
  const metrics = ports.metrics?.transports
  const origins = { allowed: config.origins, authenticated: authenticator.required || config.anonymous === 'yes' }
  const limits = { total: config.maxConnections, perAddress: config.maxConnectionsPerAddress }
  const connections = new ConnectionCount(limits, logger)
  const { gate, account } = ports.limits
  const experiment = config.experiment && new Experiment(config.experiment, authenticator.required)
  const proxies = trustedProxies(config.trustedProxies)
  const { outboxBytes, stallMs, behindMs, heartbeatMs } = config
  const bodies = new ByteBudget(config.bodiesMax)
  const strangers = new ByteBudget(Math.floor(config.bodiesMax / STRANGERS), bodies)
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
    strangers,
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
    waitMaxS: config.waitMax,
    activeReaders,
  })
  const httpReaders = new HttpReaders({ service, stores, hub, logger, behindMs, metrics, activeReaders })
  const openAi = openOpenAiTransport({
    service,
    stores,
    sessions,
    hub,
    logger,
    models: ports.models.ids,
    bodyBytes: config.openAiBodyMax,
    unsupported: unsupportedOptions,
    acceptsFile: (model, { mediaType, url, data = '' }) =>
      acceptsFile(mediaType, url === undefined ? data : new URL(url), promptRules(ports.models.get(model))),
    inputTokens: (model, content, context) => inputTokens(ports.models.get(model), content, context, config.system),
    graceMs: ABANDONED_MS,
    deleteSession: (session, caller) => ports.sessionAdmin.delete(session, caller, makeId('cmd')),
    activeReaders,
    metrics,
  })
  const responseSockets = openResponseSockets(app, {
    openAi: openAi.ports,
    logger,
    metrics,
    gate,
    authenticator,
    origins,
    connections,
    strangers,
    proxies,
    experiment,
    heartbeatMs,
    stallMs,
    limits: {
      commands: { perSecond: config.commandRate, burst: config.commandBurst },
      outboxBytes,
      messageBytes: Math.min(config.openAiBodyMax, RESPONSE_MESSAGE_BYTES),
    },
  })
  const mcp =
    config.mcp === 'no'
      ? undefined
      : openMcpTransport({
          service,
          stores,
          sessions,
          hub,
          logger,
          metrics,
          version: version(),
          agents: config.agents,
          extraTools: ports.mcpTools,
          cancelNews: ports.cancelNews,
          retentionMs: config.retention * 1000,
          resource:
            config.mcpUrl === undefined || config.jwtIssuer === undefined
              ? undefined
              : { url: config.mcpUrl, issuer: config.jwtIssuer },
          secrets: signingSecrets(authConfigOf(config), config.credentialsKey, ports.secrets),
        })
  const named = new HttpConnections(service, CONNECTION_MS)
  const httpPresence = new HttpPresence(presence)
  const routes = [
    ...sessionRoutes({
      service,
      stores,
      sessions,
      sessionAdmin: ports.sessionAdmin,
      presence,
      httpPresence,
      httpReaders,
      connections: named,
      jobs,
      waitMaxS: config.waitMax,
      activeReaders,
    }),
    helloRoute({ node: config.node, heartbeatMs }),
    meRoute({ service, account, offers: offersOf(config, ports.models.ids) }),
    readersRoute({ service, hub, node: config.node, scatterGather: ports.scatterGather, activeReaders }),
    ...jobs.routes,
    ...openAi.routes,
    ...(mcp?.routes ?? []),
  ]
  const http = serveRoutes(app, [...routes, ...documentRoutes(routes)], {
    authenticator,
    origins,
    connections,
    requests: { perSecond: config.requestRate, burst: config.requestBurst },
    gate,
    experiment,
    proxies,
    body: { bytes: LIMITS.frameBytes, budget: bodies, strangers, ms: config.bodyMs },
    outboxBytes,
    stallMs,
    heartbeatMs,
    logger,
    metrics,
  })
  serveSite(app, fileURLToPath(PAGE))

  if (ports.metrics !== undefined) {
    ports.metrics.transports.watch(ports.metrics.registry, () => ({
      webSockets: webSocket.connections + responseSockets.connections,
      requests: http.requests,
      streams: http.streams,
      unsentBytes: webSocket.unsentBytes + responseSockets.unsentBytes + http.unsentBytes,
      followed: hub.size,
    }))
  }

  return {
    get connections() {
      return webSocket.connections + responseSockets.connections + http.requests
    },
    drain(reason, withinMs) {
      webSocket.drain(reason, withinMs)
      responseSockets.drain(reason, withinMs)
      http.drain(reason, withinMs)
    },
    notifyOutage(ongoing) {
      webSocket.notifyOutage(ongoing)
      httpReaders.notifyOutage(ongoing)
    },
    async emptied(waitMs) {
      await Promise.all([webSocket, responseSockets, http].map((each) => each.emptied(waitMs)))
    },
    async close() {
      webSocket.close()
      responseSockets.close()
      http.close()
      jobs.close()
      named.close()
      httpPresence.close()
      presence.close()
      await Promise.all([openAi.close(), mcp?.close()])
    },
  }
}

function offersOf({ agents, tools }: Config, models: readonly string[]): Offers {
  return {
    models: [...models],
    agents: [...agents].map(([name, agent]) => {
      const model = localAgent(agent)?.model
      return { name, ...(model === undefined ? {} : { model }) }
    }),
    tools: tools.map(({ name, description, approval }) => {
      return { name, ...(description === undefined ? {} : { description }), approval }
    }),
  }
}
