// createServer: puts the parts together, as the node's role wants them, and writes down the order of starting and stopping.

import uws, { type us_listen_socket } from 'uWebSockets.js'
import { setTimeout as delay } from 'node:timers/promises'
import { openLimits } from './assembly/open-limits.ts'
import { exposeMetrics, openMetrics } from './assembly/open-metrics.ts'
import { openModels } from './assembly/open-models.ts'
import { openStores, StartError } from './assembly/open-stores.ts'
import { openTraces } from './assembly/open-traces.ts'
import { openTransports } from './assembly/open-transports.ts'
import { ANYBODY, createAuthenticator } from './auth/authenticator.ts'
import { type Config, ConfigError } from './config/config.ts'
import type { Logger } from './config/logger.ts'
import type { ModelCatalog } from './model/model.ts'
import { agentOf, createRunEngine, RUN_LIMITS } from './run/run-engine.ts'
import { DirectoryService } from './session/directory/directory-service.ts'
import { Purger } from './session/directory/purger.ts'
import { SessionAdmin } from './session/directory/session-admin.ts'
import { SESSION_CACHE_DEFAULTS, SessionCache } from './session/session-cache.ts'
import { createSessionService } from './session/session-service.ts'
import { TRANSCRIPT_DEFAULTS, TranscriptWriter } from './session/transcript/transcript-writer.ts'
import { MeteredLog } from './store/metered-log.ts'
import { ActiveReaders } from './transports/feed/active-readers.ts'
import { Hub } from './transports/feed/hub.ts'
import { serveHealth } from './transports/http/health.ts'
import { ListenError, listen, reachable } from './transports/http/listen.ts'
import { isLoopbackName } from './transports/http/origin.ts'
import { broadcastBy } from './transports/websocket/websocket-transport.ts'

export interface Server {
  /** Where people go; with port 0, the port that was picked. */
  readonly url: string
  readonly port: number
  /** Where the log is: the data folder's full path, or the NATS servers. */
  readonly data: string
  /** The default model. */
  readonly model: string
  readonly connections: number
  /**
   * Resolves when the embedded log cannot be written any more until it is opened again (a disk that does not answer): the
   * process should end, and be started anew. Nothing that was acknowledged is lost by it.
   */
  readonly broken: Promise<Error>
  /**
   * Stops gracefully: lets nobody in, sends clients away, lets runs end for a while and hands over the
   * rest, closes the stores. Idempotent.
   */
  close(): Promise<void>
}

/** Owners of one run that may be lost: in a row without bringing anything forth, and in all. */
const STALLED_OWNERS_MAX = 3
const OWNERS_MAX = 100

/**
 * Milliseconds for which a node that is not ready any more still takes whom a load balancer sends it, who asks only now
 * and then; at most this part of the drain.
 */
const LINGER_MS = 1_500
const LINGER_PART = 0.25
/** Milliseconds since the last question at `/readyz` after which nobody is thought to ask. */
const ASKED_MS = 60_000

/** Milliseconds for which a stop waits for the collector of traces. */
const TRACES_CLOSE_MS = 3_000

/** Milliseconds that the log may be away before clients are better sent to another node. */
const AWAY_MS = 5_000

/** What a program that embeds the server may bring itself. */
export interface ServerOverrides {
  /** Instead of the models of the configuration. */
  readonly models?: ModelCatalog
}

/** @throws ConfigError, StartError */
export async function createServer(config: Config, logger: Logger, overrides: ServerOverrides = {}): Promise<Server> {
  const authenticator = createAuthenticator({
    jwtSecret: config.jwtSecret,
    jwtSecretFile: config.jwtSecretFile,
    jwksUrl: config.jwksUrl,
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
    clockSkew: config.jwtClockSkew,
    userClaim: config.jwtUserClaim,
    nameClaim: config.jwtNameClaim,
    limitsClaim: config.jwtLimitsClaim,
  })
  const { role } = config
  // A worker has nothing to protect: it tells how it is, and no more.
  if (role !== 'worker' && !authenticator.required && config.anonymous !== 'yes' && !isLoopbackName(config.host)) {
    throw new ConfigError([
      `PARLEY_HOST ${config.host} is reached from other machines: set PARLEY_JWT_SECRET or PARLEY_JWKS_URL first, or PARLEY_ANONYMOUS=yes.`,
    ])
  }
  const models = overrides.models ?? openModels(config)
  const metrics = openMetrics(config, models.ids, () => engine.active)
  const tracer = await openTraces(config, logger)
  // The log is opened first; what folds its sessions needs it.
  let foldAll = (_: ReadonlySet<string>): void => undefined
  const app = uws.App()
  const opened = await openStores(config, logger, (old) => foldAll(old))
  const stores = metrics === undefined ? opened : { ...opened, log: new MeteredLog(opened.log, metrics.log) }
  const sessions = new SessionCache(stores, { ...SESSION_CACHE_DEFAULTS, logger })
  const directory = new DirectoryService({
    directory: stores.directory,
    ...(authenticator.required ? {} : { everybody: ANYBODY }),
    logger,
  })
  const purger = new Purger({ stores, sessions, keptMs: config.retention * 1000, logger })
  const transcripts = new TranscriptWriter(stores, {
    ...TRANSCRIPT_DEFAULTS,
    visited: (session) => directory.visited(session),
    logger,
  })
  foldAll = (old) => transcripts.foldAll(old, sessions)
  const limits = openLimits(config, { ...stores, logger })
  const serverTools = new Map(config.tools.map((tool) => [tool.name, tool]))
  const service = createSessionService({
    stores,
    sessions,
    checkChoice(model, agent) {
      const chosen = agentOf(config.agents, agent)
      models.get(model ?? chosen?.model)
    },
    serverTools: new Set(serverTools.keys()),
    open: !authenticator.required,
    leaseMs: config.leaseMs,
    directory,
    late: (session, seq) => purger.again(session, seq),
    logger,
    metrics: metrics?.runs,
    tracer,
    entrance: limits.entrance,
  })
  const hub = new Hub(stores.log, { broadcast: broadcastBy(app) })
  const activeReaders = new ActiveReaders(hub)
  const engine = createRunEngine({
    log: stores.log,
    runs: stores.runs,
    sessions,
    transcripts,
    models,
    agents: config.agents,
    system: config.system,
    serverTools,
    limits: {
      ...RUN_LIMITS,
      steps: config.runSteps,
      outputTokens: config.runTokens,
      runMs: config.runMs,
      firstTokenMs: config.firstTokenMs,
      betweenTokensMs: config.betweenTokensMs,
    },
    node: config.node,
    concurrency: config.runConcurrency,
    maxStalls: STALLED_OWNERS_MAX,
    maxAttempts: OWNERS_MAX,
    logger,
    metrics: metrics?.runs,
    tracer,
    budgets: limits.budgets,
    places: limits.places,
    isRead: (session) => activeReaders.isAnywhere(session, stores.scatterGather),
  })
  let stopping = false
  const doors =
    role === 'worker'
      ? undefined
      : openTransports(app, {
          config,
          models: models.ids,
          service,
          stores,
          sessions,
          shelf: new SessionAdmin({ log: stores.log, sessions, directory, purger, open: !authenticator.required }),
          hub,
          activeReaders,
          metrics,
          ...(stores.scatterGather === undefined ? {} : { scatterGather: stores.scatterGather }),
          presenceNews: stores.presenceNews,
          authenticator,
          limits,
          logger,
          busy: () => engine.active / config.runConcurrency,
        })
  stores.onAway((away) => doors?.tell(away ? 'away' : 'back'))
  exposeMetrics(app, config, metrics, logger)
  let askedAt = Number.NEGATIVE_INFINITY
  serveHealth(app, () => {
    askedAt = performance.now()
    return stopping ? 'stopping' : stores.awayMs() > AWAY_MS ? 'away' : 'ready'
  })

  let socket: us_listen_socket
  try {
    socket = await listen(app, config.host, config.port, config.sharePort === 'yes')
  } catch (error) {
    await stores.close()
    throw error instanceof ListenError ? new StartError(error.message, { cause: error }) : error
  }
  void purger.start()
  if (role !== 'gateway') await engine.start()

  const port = uws.us_socket_local_port(socket)
  let closing: Promise<void> | undefined
  async function close(): Promise<void> {
    stopping = true
    const drainMs = config.drain * 1000
    const until = performance.now() + drainMs
    // Runs go on meanwhile, so that short ones end; those that wait for their turn go to another node.
    const stopped = engine.stop(drainMs)
    const isAsked = performance.now() - askedAt < ASKED_MS
    if (doors !== undefined && isAsked) await delay(Math.min(LINGER_MS, drainMs * LINGER_PART))
    doors?.drain('the node stops', drainMs / 2)
    await Promise.all([doors?.emptied(Math.max(0, until - performance.now())), stopped])
    logger.info(
      { connections: doors?.connections ?? 0, spareMs: Math.max(0, Math.round(until - performance.now())) },
      'drained',
    )
    doors?.close()
    uws.us_listen_socket_close(socket)
    hub.close()
    await Promise.all([directory.close(), purger.close()])
    sessions.close()
    await limits.close()
    await stores.close()
    await tracer?.close(TRACES_CLOSE_MS)
    app.close()
  }

  return {
    url: `http://${urlHost(config.host)}:${port}`,
    port,
    data: stores.place,
    model: models.defaultId,
    get connections() {
      return doors?.connections ?? 0
    },
    broken: stores.broken ?? new Promise(() => undefined),
    close() {
      closing ??= close()
      return closing
    },
  }
}

function urlHost(host: string): string {
  const name = reachable(host)
  return name.includes(':') ? `[${name}]` : name
}
