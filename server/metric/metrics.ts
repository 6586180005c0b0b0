// Metrics: all that a node measures of itself, in the form that Prometheus reads. What happens often is counted in plain
// numbers where it happens, and read here when somebody asks.
import { collectDefaultMetrics, Registry } from 'prom-client'
import { LogMetrics } from './log-metrics.ts'
import type { PriceTable } from './prices.ts'
import { RunMetrics } from './run-metrics.ts'
import { TransportMetrics } from './transport-metrics.ts'

export interface MetricsOptions {
  readonly node: string
  /** Ids of models that are told apart; others are `other`. */
  readonly models: readonly string[]
  /** Of an experiment; others are `other`. */
  readonly variants?: readonly string[]
  readonly prices?: PriceTable | undefined
  /** Runs that are driven on this node now. */
  readonly active: () => number
}

/** Of the library's own: gauges that are named like counters, which `promtool check metrics` refuses. */
const ILL_NAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export class Metrics {
  readonly runs: RunMetrics
  readonly doors: TransportMetrics
  readonly log: LogMetrics
  readonly registry = new Registry()

  constructor(options: MetricsOptions) {
    const { registry } = this
    const { node, models, variants = [], prices, active } = options
    registry.setDefaultLabels({ node })
    this.runs = new RunMetrics({ registry, models, variants, prices, active })
    this.doors = new TransportMetrics(registry)
    this.log = new LogMetrics(registry)
    // Memory, CPU, the event loop's delay, collections of garbage.
    collectDefaultMetrics({ register: registry })
    for (const name of ILL_NAMED) registry.removeSingleMetric(name)
  }

  /** Of `text`. */
  get contentType(): string {
    return this.registry.contentType
  }

  /** All of it, as it is now. */
  text(): Promise<string> {
    return this.registry.metrics()
  }
}
