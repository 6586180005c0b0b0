// openMetrics: the metrics of a node, if they are configured, and their route.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Config, ConfigError } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { Metrics } from '../metric/metrics.ts'
import { PriceTable } from '../metric/prices.ts'
import { parseListenAddress } from '../transports/http/listen-address.ts'
import { listenForMetrics, type MetricsListener } from '../transports/http/metrics-listener.ts'
import { serveMetrics } from '../transports/http/metrics-route.ts'

/**
 * @param models ids of the models that get their own label
 * @param active returns the number of runs that this node drives now
 * @returns undefined if metrics are off, or if nobody could read them
 * @throws ConfigError
 */
export function openMetrics(config: Config, models: readonly string[], active: () => number): Metrics | undefined {
  const prices = pricesOf(config)
  const variants = config.experiment?.variants.map(({ name }) => name) ?? []
  const { metrics, metricsListen, metricsToken } = config
  const isReadable = metricsListen !== undefined || metricsToken !== undefined
  return metrics === 'off' || !isReadable
    ? undefined
    : new Metrics({ node: config.node, models, variants, prices, active })
}

/**
 * Serves `/metrics` on its own address if one is configured, else on the port of the clients, with the token.
 * @returns undefined without an own address
 * @throws ListenError
 */
export async function exposeMetrics(
  app: Parameters<typeof serveMetrics>[0],
  { metricsListen, metricsToken: token }: Config,
  metrics: Metrics | undefined,
  logger: Logger,
): Promise<MetricsListener | undefined> {
  if (metrics === undefined) return undefined
  const source = { contentType: metrics.contentType, logger, text: () => metrics.text() }
  const address = metricsListen === undefined ? undefined : parseListenAddress(metricsListen)
  if (address === undefined) {
    if (token !== undefined) serveMetrics(app, { ...source, token })
    return undefined
  }
  const listener = await listenForMetrics(address, { ...source, token })
  logger.info({ url: listener.url }, 'serving metrics')
  return listener
}

/** @throws ConfigError */
function pricesOf({ prices }: Config): PriceTable | undefined {
  if (typeof prices !== 'string') return prices
  try {
    const text = prices.startsWith('{') ? prices : readFileSync(resolve(prices), 'utf8')
    const parsed = PriceTable.safeParse(JSON.parse(text))
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw new Error(`${issue?.path.join('.') || '(root)'} ${issue?.message ?? 'is malformed'}`)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new ConfigError([`PARLEY_PRICES is not a valid price table: ${reason}.`])
  }
}
