// Metrics: all metrics of a node, in the text format of Prometheus. Frequent events are counted in plain numbers where
// they happen, and read here at each scrape.
import { Counter, collectDefaultMetrics, Registry } from 'prom-client'
import { LogMetrics } from './log-metrics.ts'
import { NodeMetrics } from './node-metrics.ts'
import type { PriceTable } from './prices.ts'
import { RunMetrics } from './run-metrics.ts'
import { TransportMetrics } from './transport-metrics.ts'

export interface MetricsOptions {
  readonly node: string
  /** Ids of models that get a label value of their own; others are `other`. */
  readonly models: readonly string[]
  /** Variants of the experiment; others are `other`. */
  readonly variants?: readonly string[]
  readonly prices?: PriceTable | undefined
  /** Number of runs that this node drives now. */
  readonly active: () => number
}

/** Gauges of the library that are named like counters, which `promtool check metrics` rejects. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export class Metrics {
  readonly runs: RunMetrics
  readonly transports: TransportMetrics
  readonly log: LogMetrics
  readonly nodes: NodeMetrics
  readonly keyFetches: Counter<'result'>
  readonly registry = new Registry()

  constructor(options: MetricsOptions) {
    const { registry } = this
    const { node, models, variants = [], prices, active } = options
    registry.setDefaultLabels({ node })
    this.runs = new RunMetrics({ registry, models, variants, prices, active })
    this.transports = new TransportMetrics(registry)
    this.log = new LogMetrics(registry)
    this.nodes = new NodeMetrics(registry)
    this.keyFetches = new Counter({
      name: 'parley_key_set_fetches_total',
      help: 'Fetches of the key set that verifies access tokens, by result: ok or failed.',
      labelNames: ['result'],
      registers: [registry],
    })
    collectDefaultMetrics({ register: registry })
    for (const name of MISNAMED) registry.removeSingleMetric(name)
  }

  get contentType(): string {
    return this.registry.contentType
  }

  text(): Promise<string> {
    return this.registry.metrics()
  }
}
