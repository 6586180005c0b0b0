// startRelay: a relay as a server process, for PARLEY_ROLE=relay. openRelay: the relays that the runs of a node use.

import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { type Config, ConfigError } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { RelayMetrics } from '../metric/relay-metrics.ts'
import { providerUrls, readModelConfig } from '../model/model-config.ts'
import { Relay } from '../model/relay-fetch.ts'
import { RelayServer } from '../relay/relay-server.ts'
import { relayTargets } from '../relay/relay-target.ts'
import { isRemote } from '../run/remote-agent.ts'
import { reachable } from '../transports/http/listen.ts'
import { parseListenAddress } from '../transports/http/listen-address.ts'
import { listenForMetrics } from '../transports/http/metrics-listener.ts'
import { checkOpenFiles } from './open-files.ts'
import { StartError } from './start-error.ts'

/** Bytes of one request: a conversation with its files. */
const REQUEST_BYTES = 64 * 1024 * 1024
/** Milliseconds after which a stream ends in any case. Runs have limits of their own, which are shorter. */
const STREAM_MS = 2 * 60 * 60 * 1000

export interface RunningRelay {
  readonly url: string
  /** Refuses new streams, waits for the others to end, and stops. */
  close(): Promise<void>
}

/** @throws ConfigError, StartError */
export async function startRelay(config: Config, logger: Logger): Promise<RunningRelay> {
  const { relaySecret, relayTargets: targets, metricsToken, metricsListen } = config
  if (relaySecret === undefined) throw new ConfigError(['PARLEY_ROLE=relay needs PARLEY_RELAY_SECRET.'])
  checkOpenFiles(config, logger)
  const agents = [...config.agents.values()].flatMap((agent) => (isRemote(agent) ? [agent.agui] : []))
  const providers = readModelConfig({ ...process.env, PARLEY_COMPATIBLE_URL: config.compatibleUrl })
  const bases = targets ?? [...providerUrls(providers), ...agents]
  const server = new RelayServer({
    secrets: relaySecret,
    targets: relayTargets(bases),
    limits: {
      streams: config.relayStreams,
      streamBytes: config.relayStreamBytes,
      bytes: config.relayBytes,
      requestBytes: REQUEST_BYTES,
      orphanMs: config.relayOrphanMs,
      streamMs: STREAM_MS,
    },
    metricsToken: metricsListen === undefined ? metricsToken : undefined,
    logger,
  })
  const metrics = new RelayMetrics(config.node, () => server.held)
  server.metrics = metrics
  const { registry } = metrics
  const source = { contentType: registry.contentType, logger, text: () => registry.metrics(), token: metricsToken }
  const address = metricsListen === undefined ? undefined : parseListenAddress(metricsListen)
  const listener = address === undefined ? undefined : await listenForMetrics(address, source)
  let url: string
  try {
    url = await listen(server, config)
  } catch (error) {
    await listener?.close()
    throw error
  }
  logger.info({ targets: bases }, 'relaying requests to these addresses')
  return {
    url,
    async close() {
      await server.drain()
      await server.close()
      await listener?.close()
    },
  }
}

/** @returns undefined if the runs call their models directly */
export function openRelay(config: Config, logger: Logger, onBypass?: (reason: string) => void): Relay | undefined {
  const { relayUrl: urls, relaySecret, role } = config
  if (urls === undefined || relaySecret === undefined || role === 'gateway') return undefined
  return new Relay({ urls, secret: relaySecret[0] as string, logger, ...(onBypass && { onBypass }) })
}

/** @throws StartError */
async function listen(server: RelayServer, { relayUrl, host, port }: Config): Promise<string> {
  const socket = relayUrl?.find((url) => url.startsWith('unix:'))
  const path = socket?.slice('unix:'.length)
  const where = path === undefined ? `PARLEY_PORT ${port} on ${host}` : `PARLEY_RELAY_URL ${socket}`
  try {
    if (path === undefined) {
      const name = reachable(host)
      return `http://${name.includes(':') ? `[${name}]` : name}:${await server.listen({ host, port })}`
    }
    // A process that was killed leaves its socket behind.
    if (!(await accepts(path))) await rm(path, { force: true })
    await server.listen({ path })
    return `unix:${path}`
  } catch (error) {
    throw new StartError(`Cannot listen on ${where}.`, { cause: error })
  }
}

async function accepts(path: string): Promise<boolean> {
  const probe = connect(path)
  return new Promise((resolve) => {
    probe.once('connect', () => resolve(true))
    probe.once('error', () => resolve(false))
  }).finally(() => probe.destroy()) as Promise<boolean>
}
