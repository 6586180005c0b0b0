// LogMetrics: duration, conflicts and failures of appends, and the time to follow a session. Tokens are not timed one by
// one: they wait for the same commits as the other entries.
import { Counter, Histogram, type Registry } from 'prom-client'

/** The first part of a subject. */
export type Lane = 'in' | 'run' | 'tool' | 'meta' | 'other'

const LANES: ReadonlySet<string> = new Set(['in', 'run', 'tool', 'meta'])
/** Seconds. */
const STORE_BUCKETS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2.5, 5, 10]

export class LogMetrics {
  readonly #appends: Histogram<'lane'>
  readonly #conflicts: Counter<'lane'>
  readonly #failures: Counter<'lane'>
  readonly #follows: Histogram

  constructor(registry: Registry) {
    const registers = [registry]
    this.#appends = new Histogram({
      name: 'parley_log_append_duration_seconds',
      help: 'Time until an entry other than a token was stored.',
      labelNames: ['lane'],
      buckets: STORE_BUCKETS,
      registers,
    })
    this.#conflicts = new Counter({
      name: 'parley_log_conflicts_total',
      help: 'Appends that lost against a concurrent append to the same subject.',
      labelNames: ['lane'],
      registers,
    })
    this.#failures = new Counter({
      name: 'parley_log_failures_total',
      help: 'Appends that could not be stored.',
      labelNames: ['lane'],
      registers,
    })
    this.#follows = new Histogram({
      name: 'parley_log_follow_duration_seconds',
      help: 'Time to read a newly followed session up to its end.',
      buckets: STORE_BUCKETS,
      registers,
    })
  }

  appended(subject: string, seconds: number): void {
    this.#appends.observe({ lane: laneOf(subject) }, seconds)
  }

  conflicted(subject: string): void {
    this.#conflicts.inc({ lane: laneOf(subject) })
  }

  failed(subject: string): void {
    this.#failures.inc({ lane: laneOf(subject) })
  }

  followed(seconds: number): void {
    this.#follows.observe(seconds)
  }
}

export function laneOf(subject: string): Lane {
  const lane = subject.split('.', 1)[0] ?? ''
  return LANES.has(lane) ? (lane as Lane) : 'other'
}
