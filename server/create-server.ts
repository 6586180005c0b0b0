// createServer: assembles the parts of a node according to its role, and defines the order in which they start and stop.

import { setTimeout as sleep } from 'node:timers/promises'
import { ANONYMOUS_USER } from '@parley/protocol'
import { authConfigOf } from './assembly/auth-config.ts'
import { checkOpenFiles } from './assembly/open-files.ts'
import { openLimits, userConcurrency } from './assembly/open-limits.ts'
import { openMcp } from './assembly/open-mcp.ts'
import { exposeMetrics, openMetrics } from './assembly/open-metrics.ts'
import { openModels } from './assembly/open-models.ts'
import { openRelay } from './assembly/open-relay.ts'
import { openStores } from './assembly/open-stores.ts'
import { openTraces } from './assembly/open-traces.ts'
import { openTransports } from './assembly/open-transports.ts'
import { openVault } from './assembly/open-vault.ts'
import { StartError } from './assembly/start-error.ts'
import { createAuthenticator } from './auth/authenticator.ts'
import { readSecrets, type Secrets, secretsIn } from './auth/secret-file.ts'
import { type Config, ConfigError, checkConfig } from './config/config.ts'
import type { Logger } from './config/logger.ts'
import type { ModelCatalog } from './model/model.ts'
import { agentOf, agentToolNames } from './run/agent/agents.ts'
import { isRemote, remoteModelIds } from './run/remote-agent.ts'
import { createRunEngine } from './run/run-engine.ts'
import { RUN_LIMITS } from './run/run-limits.ts'
import { DirectoryService } from './session/directory/directory-service.ts'
import { Purger } from './session/directory/purger.ts'
import { SessionAdmin } from './session/directory/session-admin.ts'
import { SESSION_CACHE_DEFAULTS, SessionCache } from './session/session-cache.ts'
import { createSessionService } from './session/session-service.ts'
import { TRANSCRIPT_DEFAULTS, TranscriptWriter } from './session/transcript/transcript-writer.ts'
import { MeteredLog } from './store/metered-log.ts'
import { demoForm } from './tool/demo-form.ts'
import { ActiveReaders } from './transports/feed/active-readers.ts'
import { Hub } from './transports/feed/hub.ts'
import { serveHealth } from './transports/http/health.ts'
import { ListenError, listen, reachable } from './transports/http/listen.ts'
import type { MetricsListener } from './transports/http/metrics-listener.ts'
import { isLoopbackName } from './transports/http/origin.ts'
import type { ExtraTool } from './transports/mcp/extra-tool.ts'
import { unknownOpenAiPath } from './transports/openai/unknown-path.ts'
import { type LoadedUws, loadUws, UnsupportedSystemError, type us_listen_socket } from './transports/uws.ts'
import { broadcastBy } from './transports/websocket/websocket-transport.ts'

export interface Server {
  /** The address for people. If the configured port is 0, it contains the actual port. */
  readonly url: string
  readonly port: number
  /** The location of the log: the full path of the data folder, or the NATS servers. */
  readonly data: string
  /** The default model. */
  readonly model: string
  readonly connections: number
  /**
   * Resolves when the embedded log cannot be written until it is reopened, because the disk does not respond or the data
   * folder was removed. The process should exit and be restarted. No acknowledged data is lost.
   */
  readonly broken: Promise<Error>
  /**
   * Stops gracefully: refuses new clients, asks clients to reconnect elsewhere, waits for runs to end, hands over the
   * remaining runs, and closes the stores. Idempotent.
   */
  close(): Promise<void>
}

/** Maximum number of lost drivers of one run: consecutive ones without any output, and in total. */
const MAX_STALLS = 3
const MAX_ATTEMPTS = 100

/**
 * Milliseconds for which a draining node still accepts clients, because a load balancer probes `/readyz` only
 * periodically; at most this part of the drain time.
 */
const LINGER_MS = 1_500
const LINGER_RATIO = 0.25
/** Milliseconds since the last request to `/readyz` after which no load balancer is assumed. */
const PROBED_MS = 60_000

/** Milliseconds for which a stop waits for the trace exporter. */
const TRACES_CLOSE_MS = 3_000

/** Milliseconds of an outage of the log after which the node is no longer ready. */
const OUTAGE_MS = 5_000

/** Parts that an embedding program may replace. */
export interface ServerOverrides {
  /** Replaces the configured models. */
  readonly models?: ModelCatalog
  /** Tools of the MCP endpoint besides the agents; for tests. */
  readonly mcpTools?: readonly ExtraTool[]
}

/** @throws ConfigError, StartError */
export async function createServer(config: Config, logger: Logger, overrides: ServerOverrides = {}): Promise<Server> {
  checkConfig(config)
  const { role, jwtSecretFile } = config
  const relay = openRelay(config, logger, () => metrics?.runs.relayed('direct'))
  const models = overrides.models ?? openModels(config, relay)
  const metrics = openMetrics(config, [...models.ids, ...remoteModelIds(config.agents)], () => engine.active)
  const secrets = jwtSecretFile === undefined ? undefined : await openSecretFile(jwtSecretFile, logger)
  const onKeysFetched = metrics && ((result: string) => metrics.keyFetches.inc({ result }))
  const vault = openVault(config)
  const mcp = openMcp(config, logger, vault)
  const authenticator = createAuthenticator(authConfigOf(config), { logger, secrets, onKeysFetched, vault })
  // A worker serves only health checks and metrics, so it needs no authentication.
  if (role !== 'worker' && !authenticator.required && config.anonymous !== 'yes' && !isLoopbackName(config.host)) {
    throw new ConfigError([
      `PARLEY_HOST ${config.host} is reachable from other machines: set PARLEY_JWT_SECRET or PARLEY_JWKS_URL, or PARLEY_ANONYMOUS=yes.`,
    ])
  }
  const uws = startUws(logger)
  checkOpenFiles(config, logger)
  const tracer = await openTraces(config, logger)
  // Set below: the transcript writer needs the open log.
  let writeTranscripts = (_: ReadonlySet<string>): void => undefined
  const app = uws.App()
  const opened = await openStores(config, logger, (uncovered) => writeTranscripts(uncovered))
  const log = metrics === undefined ? opened.log : new MeteredLog(opened.log, metrics.log)
  const stores = { ...opened, log, logger }
  const sessions = new SessionCache(stores, { ...SESSION_CACHE_DEFAULTS, logger })
  const directory = new DirectoryService({
    directory: stores.directory,
    ...(authenticator.required ? {} : { everybody: ANONYMOUS_USER }),
    logger,
  })
  const purger = new Purger({ stores, sessions, keptMs: config.retention * 1000, logger })
  const transcripts = new TranscriptWriter(stores, {
    ...TRANSCRIPT_DEFAULTS,
    visited: (session) => directory.visited(session),
    logger,
  })
  writeTranscripts = (uncovered) => transcripts.compactAll(uncovered, sessions)
  const limits = openLimits(config, { ...stores, logger })
  const tools = models.defaultId === 'demo' ? [demoForm, ...config.tools] : config.tools
  const serverTools = new Map(tools.map((tool) => [tool.name, tool]))
  const agentNames = agentToolNames(config.agents)
  const service = createSessionService({
    stores,
    sessions,
    checkChoice(model, agent) {
      const chosen = agentOf(config.agents, agent)
      // A remote agent has a model of its own, whatever a client chose before.
      if (!isRemote(chosen)) models.get(model ?? chosen?.model)
    },
    serverTools: { has: (name) => serverTools.has(name) || agentNames.has(name) || mcp?.owns(name) === true },
    open: !authenticator.required,
    leaseMs: config.leaseMs,
    approvalMs: RUN_LIMITS.approvalMs,
    directory,
    purgeAgain: (session, seq) => purger.purgeAgain(session, seq),
    logger,
    metrics: metrics?.runs,
    tracer,
    admission: limits.admission,
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
    remote: {
      openClaims: async (sealed, user) => vault?.open(sealed, user),
      ...(relay === undefined ? {} : { fetch: relay.fetch(globalThis.fetch), relayed: true }),
    },
    mcp: mcp?.servers,
    limits: {
      ...RUN_LIMITS,
      steps: config.runSteps,
      outputTokens: config.runTokens,
      runMs: config.runMs,
      childLevels: config.runDepth,
      children: config.runChildren,
      firstTokenMs: config.firstTokenMs,
      betweenTokensMs: config.betweenTokensMs,
    },
    node: config.node,
    concurrency: config.runConcurrency,
    userConcurrency: userConcurrency(config),
    maxStalls: MAX_STALLS,
    maxAttempts: MAX_ATTEMPTS,
    logger,
    metrics: metrics?.runs,
    tracer,
    budgets: limits.budgets,
    relay,
    recovery: config.recovery,
    activeRuns: limits.runQuota,
    isRead: (session) => activeReaders.isReadAnywhere(session, stores.scatterGather),
  })
  let stopping = false
  const transports =
    role === 'worker'
      ? undefined
      : openTransports(app, {
          config,
          models,
          service,
          stores,
          sessions,
          sessionAdmin: new SessionAdmin({
            log: stores.log,
            sessions,
            directory,
            purger,
            open: !authenticator.required,
          }),
          hub,
          activeReaders,
          metrics,
          ...(stores.scatterGather === undefined ? {} : { scatterGather: stores.scatterGather }),
          presenceNews: stores.presenceNews,
          cancelNews: stores.cancelNews,
          authenticator,
          secrets,
          limits,
          logger,
          mcpTools: overrides.mcpTools,
          busy: () => engine.active / config.runConcurrency,
        })
  if (metrics !== undefined) stores.verdicts?.onVerdict((verdict) => metrics.nodes.judged(verdict))
  stores.onOutage((ongoing) => transports?.notifyOutage(ongoing))
  let probedAt = Number.NEGATIVE_INFINITY
  const readiness = async () => {
    probedAt = performance.now()
    if (stopping) return 'stopping'
    return (await stores.canStore()) && stores.outageMs() <= OUTAGE_MS ? 'ready' : 'unavailable'
  }
  serveHealth(app, readiness, unknownOpenAiPath)

  let socket: us_listen_socket
  let metricsListener: MetricsListener | undefined
  try {
    metricsListener = await exposeMetrics(app, config, metrics, logger)
    socket = await listen(app, config.host, config.port, config.sharePort === 'yes')
  } catch (error) {
    await metricsListener?.close()
    await stores.close()
    throw error instanceof ListenError ? new StartError(error.message, { cause: error }) : error
  }
  void purger.start()
  mcp?.servers?.start()
  if (role !== 'gateway') await engine.start()

  const port = uws.us_socket_local_port(socket)
  let closing: Promise<void> | undefined
  async function close(): Promise<void> {
    stopping = true
    const drainMs = config.drain * 1000
    const until = performance.now() + drainMs
    // Active runs continue during the drain, so that short ones end; queued runs move to another node.
    const stopped = engine.stop(drainMs)
    const isProbed = performance.now() - probedAt < PROBED_MS
    if (transports !== undefined && isProbed) await sleep(Math.min(LINGER_MS, drainMs * LINGER_RATIO))
    transports?.drain('the node is shutting down', drainMs / 2)
    await Promise.all([transports?.emptied(Math.max(0, until - performance.now())), stopped])
    logger.info(
      { connections: transports?.connections ?? 0, spareMs: Math.max(0, Math.round(until - performance.now())) },
      'drained',
    )
    const closed = transports?.close()
    uws.us_listen_socket_close(socket)
    await closed
    await mcp?.servers?.close()
    hub.close()
    await Promise.all([directory.close(), purger.close()])
    sessions.close()
    await limits.close()
    relay?.close()
    await stores.close()
    await tracer?.close(TRACES_CLOSE_MS)
    await metricsListener?.close()
    app.close()
  }

  return {
    url: `http://${urlHost(config.host)}:${port}`,
    port,
    data: stores.place,
    model: models.defaultId,
    get connections() {
      return transports?.connections ?? 0
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

/** @throws ConfigError */
async function openSecretFile(path: string, logger: Logger): Promise<Secrets> {
  try {
    return secretsIn(path, { logger, known: await readSecrets(path) })
  } catch (error) {
    throw new ConfigError([`PARLEY_JWT_SECRET_FILE ${path} cannot be used: ${(error as Error).message}.`])
  }
}

/** @throws StartError */
function startUws(logger: Logger): LoadedUws['uws'] {
  try {
    const { uws, fallback } = loadUws()
    if (fallback) logger.warn({ nodeVersion: process.versions.node }, 'old build of uWebSockets.js in use')
    return uws
  } catch (error) {
    throw error instanceof UnsupportedSystemError ? new StartError(error.message, { cause: error }) : error
  }
}
