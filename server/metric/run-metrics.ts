// RunMetrics: what became of runs, and how it felt to wait for them. A run is counted by the node whose owner finished it.
// Times are between entries of the log, by its clock: from the message on, as a person waits.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { AllowList, doorLabel, OTHER, providerLabel, RUN_LABELS, type RunLabels } from './labels.ts'
import { costOf, type PriceTable, type TokenCount } from './prices.ts'
import { type MeteredRun, type Pace, RunMeter, type RunMeterSink } from './run-meter.ts'

export interface RunMetricsOptions {
  readonly registry: Registry
  /** Ids of models that are told apart. */
  readonly models: readonly string[]
  /** Of an experiment. */
  readonly variants: readonly string[]
  readonly prices: PriceTable | undefined
  /** Runs that are driven on this node now. */
  readonly active: () => number
}

/** What a message tells of the run that answers it. */
export interface Asked {
  readonly door?: string | undefined
  readonly variant?: string | undefined
}

export interface EndedRun {
  readonly asked: Asked
  /** '' where it never began. */
  readonly model: string
  readonly reason: 'completed' | 'cancelled' | 'superseded' | 'failed'
  /** Of a failed one. */
  readonly error: string | undefined
  /** From its message to its end, where both are known. */
  readonly seconds: number | undefined
  readonly usage: TokenCount
  /** Outputs that were stored, and that the person who ended it had not seen. */
  readonly unseen: number
}

const OPERATION = 'chat'
const GEN_AI_LABELS = ['gen_ai_operation_name', 'gen_ai_provider_name', ...RUN_LABELS] as const
/** Bounds that OpenTelemetry's conventions for generative AI name. */
const FIRST_TOKEN_BUCKETS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const PER_TOKEN_BUCKETS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
const DURATION_BUCKETS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const TOKEN_BUCKETS = Array.from({ length: 14 }, (_, power) => 4 ** power)
/** Ours. */
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
      'From a message to the first token of its run, text or reasoning; what tells of the run itself does not count.',
      GEN_AI_LABELS,
      FIRST_TOKEN_BUCKETS,
    )
    this.#perToken = histogram(
      'gen_ai_server_time_per_output_token_seconds',
      'Time of a token after the first of its model call, as an average over what one owner of a run brought forth.',
      GEN_AI_LABELS,
      PER_TOKEN_BUCKETS,
    )
    this.#duration = histogram(
      'gen_ai_server_request_duration_seconds',
      'From a message to the end of its run.',
      [...GEN_AI_LABELS, 'error_type'],
      DURATION_BUCKETS,
    )
    this.#usage = histogram(
      'gen_ai_client_token_usage',
      'Tokens of a run, as its provider counted them; of a model call that was cut short, as they came.',
      [...GEN_AI_LABELS, 'gen_ai_token_type'],
      TOKEN_BUCKETS,
    )
    this.#calls = histogram(
      'gen_ai_client_operation_duration_seconds',
      'Time of one call of a model.',
      ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model', 'error_type'],
      DURATION_BUCKETS,
    )
    this.#runs = counter('parley_runs_total', 'Runs that have ended, by how.', [...RUN_LABELS, 'outcome'])
    this.#abandoned = counter(
      'parley_runs_abandoned_total',
      'Runs that came to their own end, completed or failed, when nobody read their session.',
      RUN_LABELS,
    )
    this.#queueWait = histogram(
      'parley_run_queue_wait_seconds',
      'From a message to the start of its run, waits for earlier runs of the session included.',
      RUN_LABELS,
      WAIT_BUCKETS,
    )
    this.#longestGap = histogram(
      'parley_run_longest_token_gap_seconds',
      'The longest time between two outputs of one model call, for each owner of a run.',
      RUN_LABELS,
      WAIT_BUCKETS,
    )
    this.#takeovers = new Counter({
      name: 'parley_run_takeovers_total',
      help: 'Runs that another owner went on with, by how.',
      labelNames: ['mode'],
      registers: [registry],
    })
    this.#failoverPause = histogram(
      'parley_run_failover_pause_seconds',
      'From the last entry of an owner that was lost to the first token of the next one.',
      RUN_LABELS,
      WAIT_BUCKETS,
    )
    this.#cancel = new Histogram({
      name: 'parley_cancel_to_last_token_seconds',
      help: 'From a cancel to where no further token of its run could be stored.',
      labelNames: ['door', 'variant'],
      buckets: CANCEL_BUCKETS,
      registers: [registry],
    })
    this.#wasted = counter(
      'parley_tokens_wasted_total',
      'Tokens of runs that were cancelled or superseded: not stored any more, or stored and not seen.',
      [...RUN_LABELS, 'state'],
    )
    this.#cost = histogram(
      'parley_run_cost',
      'What a run cost by PARLEY_PRICES, in its currency; models without a price are left out.',
      [...RUN_LABELS, 'currency'],
      COST_BUCKETS,
    )
    new Gauge({
      name: 'parley_runs_active',
      help: 'Runs that are driven on this node now.',
      registers: [registry],
      collect() {
        this.set(active())
      },
    })
  }

  meter(asked: Asked, run: Omit<MeteredRun, 'labels'>): RunMeter {
    return new RunMeter(this, { ...run, labels: this.#labels(asked, run.model) })
  }

  /** An owner began. @param seconds since the message; undefined where that is not known, or it was not the first owner */
  began(asked: Asked, model: string, mode: 'new' | 'continue' | 'restart', seconds: number | undefined): void {
    if (mode !== 'new') this.#takeovers.inc({ mode })
    if (seconds !== undefined) this.#queueWait.observe({ ...this.#labels(asked, model) }, Math.max(0, seconds))
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
    // What never began used nothing.
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

  /** @param by who cancelled */
  cancelled({ door, variant }: Asked, seconds: number): void {
    this.#cancel.observe({ door: doorLabel(door), variant: this.#variants.label(variant) }, seconds)
  }

  firstToken(labels: RunLabels, model: string, seconds: number): void {
    this.#firstToken.observe(withGenAi(labels, model), seconds)
  }

  takenOver(labels: RunLabels, seconds: number): void {
    this.#failoverPause.observe({ ...labels }, seconds)
  }

  ownerDone(labels: RunLabels, model: string, { secondsPerToken, longestSeconds, wasted }: Pace): void {
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
