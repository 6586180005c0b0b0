// openMetrics: a node's metrics as its configuration wants them, and who may read them.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Config, ConfigError } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { Metrics } from '../metric/metrics.ts'
import { PriceTable } from '../metric/prices.ts'
import { serveMetrics } from '../transports/http/metrics-route.ts'

/**
 * @param models ids of those that are told apart
 * @param active how many runs are driven on this node now
 * @returns undefined when nothing is to be measured
 * @throws ConfigError
 */
export function openMetrics(config: Config, models: readonly string[], active: () => number): Metrics | undefined {
  const prices = pricesOf(config)
  const variants = config.experiment?.variants.map(({ name }) => name) ?? []
  return config.metrics === 'off' ? undefined : new Metrics({ node: config.node, models, variants, prices, active })
}

/** Answers at `/metrics`, where that is wanted. */
export function exposeMetrics(
  app: Parameters<typeof serveMetrics>[0],
  { metrics: exposure, metricsToken: token }: Config,
  metrics: Metrics | undefined,
  logger: Logger,
): void {
  if (exposure === 'off' || metrics === undefined) return
  const { contentType } = metrics
  serveMetrics(app, { exposure, token, contentType, logger, text: () => metrics.text() })
}

/** @throws ConfigError */
function pricesOf({ prices }: Config): PriceTable | undefined {
  if (typeof prices !== 'string') return prices
  try {
    const text = prices.startsWith('{') ? prices : readFileSync(resolve(prices), 'utf8')
    const parsed = PriceTable.safeParse(JSON.parse(text))
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw new Error(`${issue?.path.join('.') || 'all of it'} ${issue?.message ?? 'is malformed'}`)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new ConfigError([`PARLEY_PRICES is no table of prices: ${reason}.`])
  }
}
