// RunMetrics: outcomes, latencies, tokens and cost of runs. The node that finishes a run counts it. Durations are times
// between log entries, by the clock of the log, and start at the user's message.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { AllowList, doorLabel, OTHER, providerLabel, RUN_LABELS, type RunLabels } from './labels.ts'
import { costOf, type PriceTable, type TokenCount } from './prices.ts'
import { type MeteredRun, type Pace, RunMeter, type RunMeterSink } from './run-meter.ts'

export interface RunMetricsOptions {
  readonly registry: Registry
  /** Ids of models that get a label value of their own. */
  readonly models: readonly string[]
  /** Variants of the experiment. */
  readonly variants: readonly string[]
  readonly prices: PriceTable | undefined
  /** Number of runs that this node drives now. */
  readonly active: () => number
}

/** The labels that a run inherits from its message. */
export interface Asked {
  readonly door?: string | undefined
  readonly variant?: string | undefined
}

export interface EndedRun {
  readonly asked: Asked
  /** '' if the run never started. */
  readonly model: string
  readonly reason: 'completed' | 'cancelled' | 'superseded' | 'failed'
  /** The error code of a failed run. */
  readonly error: string | undefined
  /** Time from its message to its end, if both are known. */
  readonly seconds: number | undefined
  readonly usage: TokenCount
  /** Stored outputs that the person who ended the run had not seen. */
  readonly unseen: number
}

const OPERATION = 'chat'
const GEN_AI_LABELS = ['gen_ai_operation_name', 'gen_ai_provider_name', ...RUN_LABELS] as const
/** From OpenTelemetry's semantic conventions for generative AI. */
const FIRST_TOKEN_BUCKETS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const PER_TOKEN_BUCKETS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
const DURATION_BUCKETS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const TOKEN_BUCKETS = Array.from({ length: 14 }, (_, power) => 4 ** power)
/** Parley's own. */
const WAIT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const CANCEL_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const COST_BUCKETS = [0.00001, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]

export class RunMetrics implements RunMeterSink {
  readonly #models: AllowList
  readonly #variants: AllowList
  readonly #prices: PriceTable | undefined
  readonly #firstToken: Histogram
  readonly #perToken: Histogram
  readonly #duration: Histogram
  readonly #usage: Histogram
  readonly #calls: Histogram
  readonly #runs: Counter
  readonly #abandoned: Counter
  readonly #queueWait: Histogram
  readonly #longestGap: Histogram
  readonly #takeovers: Counter<'mode'>
  readonly #relayed: Counter<'outcome'>
  readonly #failoverPause: Histogram
  readonly #cancel: Histogram<'door' | 'variant'>
  readonly #wasted: Counter
  readonly #cost: Histogram

  constructor({ registry, models, variants, prices, active }: RunMetricsOptions) {
    this.#models = new AllowList(models.filter((id) => !id.endsWith(':*')))
    this.#variants = new AllowList(variants)
    this.#prices = prices
    const histogram = (name: string, help: string, labelNames: readonly string[], buckets: number[]): Histogram =>
      new Histogram({ name, help, labelNames, buckets, registers: [registry] })
    const counter = (name: string, help: string, labelNames: readonly string[]): Counter =>
      new Counter({ name, help, labelNames, registers: [registry] })
    this.#firstToken = histogram(
      'gen_ai_server_time_to_first_token_seconds',
      'Time from a message to the first token of its run, text or reasoning.',
      GEN_AI_LABELS,
      FIRST_TOKEN_BUCKETS,
    )
    this.#perToken = histogram(
      'gen_ai_server_time_per_output_token_seconds',
      'Mean time per token after the first one of its model call, per driver of a run.',
      GEN_AI_LABELS,
      PER_TOKEN_BUCKETS,
    )
    this.#duration = histogram(
      'gen_ai_server_request_duration_seconds',
      'Time from a message to the end of its run.',
      [...GEN_AI_LABELS, 'error_type'],
      DURATION_BUCKETS,
    )
    this.#usage = histogram(
      'gen_ai_client_token_usage',
      'Tokens of a run as reported by the provider; of an interrupted model call, tokens received.',
      [...GEN_AI_LABELS, 'gen_ai_token_type'],
      TOKEN_BUCKETS,
    )
    this.#calls = histogram(
      'gen_ai_client_operation_duration_seconds',
      'Duration of one model call.',
      ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model', 'error_type'],
      DURATION_BUCKETS,
    )
    this.#runs = counter('parley_runs_total', 'Finished runs by outcome.', [...RUN_LABELS, 'outcome'])
    this.#abandoned = counter(
      'parley_runs_abandoned_total',
      'Runs that completed or failed while nobody read their session.',
      RUN_LABELS,
    )
    this.#queueWait = histogram(
      'parley_run_queue_wait_seconds',
      'Time from a message to the start of its run, including the wait for earlier runs of the session.',
      RUN_LABELS,
      WAIT_BUCKETS,
    )
    this.#longestGap = histogram(
      'parley_run_longest_token_gap_seconds',
      'Longest time between two outputs of one model call, per driver of a run.',
      RUN_LABELS,
      WAIT_BUCKETS,
    )
    this.#takeovers = new Counter({
      name: 'parley_run_takeovers_total',
      help: 'Runs that another driver took over, by mode.',
      labelNames: ['mode'],
      registers: [registry],
    })
    this.#relayed = new Counter({
      name: 'parley_relayed_calls_total',
      help: 'Model calls that did not simply go through a relay, by outcome.',
      labelNames: ['outcome'],
      registers: [registry],
    })
    this.#failoverPause = histogram(
      'parley_run_failover_pause_seconds',
      'Time from the last entry of a lost driver to the first token of the next one.',
      RUN_LABELS,
      WAIT_BUCKETS,
    )
    this.#cancel = new Histogram({
      name: 'parley_cancel_to_last_token_seconds',
      help: 'Time from a cancel until no further token of its run could be stored.',
      labelNames: ['door', 'variant'],
      buckets: CANCEL_BUCKETS,
      registers: [registry],
    })
    this.#wasted = counter(
      'parley_tokens_wasted_total',
      'Tokens of cancelled or superseded runs that were not stored, or stored but not seen.',
      [...RUN_LABELS, 'state'],
    )
    this.#cost = histogram(
      'parley_run_cost',
      'Cost of a run by PARLEY_PRICES. Models without a price do not count.',
      [...RUN_LABELS, 'currency'],
      COST_BUCKETS,
    )
    new Gauge({
      name: 'parley_runs_active',
      help: 'Runs that this node drives now.',
      registers: [registry],
      collect() {
        this.set(active())
      },
    })
  }

  meter(asked: Asked, run: Omit<MeteredRun, 'labels'>): RunMeter {
    return new RunMeter(this, { ...run, labels: this.#labels(asked, run.model) })
  }

  /** A driver started. @param seconds since the message; undefined if unknown, or for a later driver */
  began(asked: Asked, model: string, mode: 'new' | 'continue' | 'restart', seconds: number | undefined): void {
    if (mode !== 'new') this.#takeovers.inc({ mode })
    if (seconds !== undefined) this.#queueWait.observe({ ...this.#labels(asked, model) }, Math.max(0, seconds))
  }

  /**
   * `resumed`: a relay had the response for the next driver. `unknown`: it did not. `lost`: the response broke off. `direct`: no relay
   * accepted the request.
   */
  relayed(outcome: 'resumed' | 'unknown' | 'lost' | 'direct'): void {
    this.#relayed.inc({ outcome })
  }

  modelCalled(model: string, seconds: number, error: string): void {
    this.#calls.observe(
      {
        gen_ai_operation_name: OPERATION,
        gen_ai_provider_name: providerLabel(model),
        gen_ai_request_model: this.#model(model),
        error_type: error,
      },
      seconds,
    )
  }

  ended({ asked, model, reason, error, seconds, usage, unseen }: EndedRun): void {
    const labels = this.#labels(asked, model)
    this.#runs.inc({ ...labels, outcome: reason })
    const genAi = withGenAi(labels, model)
    if (seconds !== undefined) {
      const error_type = reason === 'completed' ? '' : reason === 'failed' ? (error ?? '_OTHER') : reason
      this.#duration.observe({ ...genAi, error_type }, Math.max(0, seconds))
    }
    // A run that never started used no tokens.
    if (model === '') return
    this.#usage.observe({ ...genAi, gen_ai_token_type: 'input' }, usage.inputTokens)
    this.#usage.observe({ ...genAi, gen_ai_token_type: 'output' }, usage.outputTokens)
    if (unseen > 0) this.#wasted.inc({ ...labels, state: 'unseen' }, unseen)
    const cost = this.#prices === undefined ? undefined : costOf(this.#prices, model, usage)
    if (cost !== undefined) this.#cost.observe({ ...labels, currency: this.#prices?.currency ?? '' }, cost)
  }

  abandoned(asked: Asked, model: string): void {
    this.#abandoned.inc({ ...this.#labels(asked, model) })
  }

  cancelled({ door, variant }: Asked, seconds: number): void {
    this.#cancel.observe({ door: doorLabel(door), variant: this.#variants.label(variant) }, seconds)
  }

  firstToken(labels: RunLabels, model: string, seconds: number): void {
    this.#firstToken.observe(withGenAi(labels, model), seconds)
  }

  takenOver(labels: RunLabels, seconds: number): void {
    this.#failoverPause.observe({ ...labels }, seconds)
  }

  driverDone(labels: RunLabels, model: string, { secondsPerToken, longestSeconds, wasted }: Pace): void {
    if (secondsPerToken !== undefined) this.#perToken.observe(withGenAi(labels, model), secondsPerToken)
    if (longestSeconds !== undefined) this.#longestGap.observe({ ...labels }, longestSeconds)
    if (wasted > 0) this.#wasted.inc({ ...labels, state: 'unstored' }, wasted)
  }

  #labels({ door, variant }: Asked, model: string): RunLabels {
    return {
      door: doorLabel(door),
      gen_ai_request_model: this.#model(model),
      variant: this.#variants.label(variant),
    }
  }

  #model(model: string): string {
    return model === '' ? '' : this.#models.label(model) || OTHER
  }
}

function withGenAi(labels: RunLabels, model: string) {
  return { gen_ai_operation_name: OPERATION, gen_ai_provider_name: providerLabel(model), ...labels }
}
