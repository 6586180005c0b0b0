// Compares two groups of runs, and of their readers, that differ in one label. Pure.
import { type Bins, difference, type Interval, quantile, rate, share, sum } from './interval.ts'
import type { Sample } from './scrape.ts'

export interface Groups {
  readonly label: string
  readonly a: string
  readonly b: string
}

export interface Row {
  readonly what: string
  readonly unit: 'seconds' | 'share' | 'per 100 runs'
  /** Observations in each group. */
  readonly counts: readonly [number, number]
  /** Observations that each group needs for a result. */
  readonly needed: number
  /** Undefined with too little data. */
  readonly found: { readonly a: number; readonly b: number; readonly difference: Interval } | undefined
  readonly verdict: 'lower' | 'higher' | 'no difference seen' | 'too little data'
}

type Labels = Readonly<Record<string, string>>
type Kind = Pick<Row, 'what' | 'unit' | 'counts' | 'needed'>
/** Hits, and the total that they are part of. */
type Part = readonly [number, number]

/** Observations needed beyond a quantile, and runs needed for a share or a rate. */
const FEWEST_BEYOND = 10
const FEWEST_RUNS = 30
const TIMES = [
  ['first token', 'gen_ai_server_time_to_first_token_seconds', {}, [0.5, 0.95]],
  ['completion', 'gen_ai_server_request_duration_seconds', { error_type: '' }, [0.5, 0.95]],
  ['interruption', 'parley_resume_gap_seconds', {}, [0.5]],
] as const
const OUTCOMES = ['completed', 'failed', 'cancelled', 'superseded']
export const RUNS = 'parley_runs_total'
const ABANDONED = 'parley_runs_abandoned_total'
const ATTACHES = 'parley_attaches_total'
const GAPS = 'parley_resume_gap_seconds_count'
/** Labels of readers. They have no label for the model. */
const READER_LABELS: ReadonlySet<string> = new Set(['door', 'variant', 'node'])

/** Names of all metrics that a comparison reads. */
export const METRICS: readonly string[] = [
  ...TIMES.map(([, name]) => `${name}_bucket`),
  RUNS,
  ABANDONED,
  ATTACHES,
  GAPS,
]

/** @param samples increases of the counters in the compared period */
export function compare(samples: readonly Sample[], { label, a, b }: Groups): readonly Row[] {
  const hasReaders = READER_LABELS.has(label)
  const of = (name: string, group: string, labels: Labels = {}) => select(samples, name, { ...labels, [label]: group })
  const count = (name: string, group: string, labels?: Labels) => sum(of(name, group, labels).map(({ value }) => value))
  const perRun = (counted: (group: string) => number): readonly [Part, Part] => [
    [counted(a), count(RUNS, a)],
    [counted(b), count(RUNS, b)],
  ]
  const ended = (outcome: string) => (group: string) => count(RUNS, group, { outcome })
  const abandoned = (group: string): Part => [
    count(ABANDONED, group),
    ended('completed')(group) + ended('failed')(group),
  ]
  const reconnects = (group: string) =>
    count(ATTACHES, group, { kind: 'resumed' }) + count(ATTACHES, group, { kind: 'reset' })
  const times = TIMES.filter(([, name]) => hasReaders || !name.startsWith('parley_'))
  return [
    ...times.flatMap(([what, name, labels, quantiles]) => {
      const [left, right] = [a, b].map((group) => binsOf(of(`${name}_bucket`, group, labels))) as [Bins, Bins]
      return quantiles.map((q) => timeRow(`${what}, p${q * 100}`, left, right, q))
    }),
    ...OUTCOMES.map((outcome) => partRow(outcome, 'share', share, ...perRun(ended(outcome)))),
    partRow('abandoned', 'share', share, abandoned(a), abandoned(b)),
    ...(hasReaders
      ? [
          partRow('reconnects', 'per 100 runs', rate, ...perRun(reconnects)),
          partRow('interruptions', 'per 100 runs', rate, ...perRun((group) => count(GAPS, group))),
        ]
      : []),
  ]
}

function timeRow(what: string, a: Bins, b: Bins, q: number): Row {
  const counts = [sum(a.counts), sum(b.counts)] as const
  const needed = Math.ceil(FEWEST_BEYOND / (1 - q) - 1e-9)
  return row({ what, unit: 'seconds', counts, needed }, (bins) => quantile(bins, q), a, b)
}

function partRow(what: string, unit: Row['unit'], interval: (...part: Part) => Interval, a: Part, b: Part): Row {
  return row({ what, unit, counts: [a[1], b[1]], needed: FEWEST_RUNS }, (part) => interval(...part), a, b)
}

function row<T>(kind: Kind, interval: (group: T) => Interval, groupA: T, groupB: T): Row {
  const unknown: Row = { ...kind, found: undefined, verdict: 'too little data' }
  if (Math.min(...kind.counts) < kind.needed) return unknown
  const [a, b] = [interval(groupA), interval(groupB)]
  // Values beyond the last bound of a histogram are unknown.
  if (!Number.isFinite(a.estimate) || !Number.isFinite(b.estimate)) return unknown
  const apart = difference(a, b)
  const verdict = apart.low > 0 ? 'higher' : apart.high < 0 ? 'lower' : 'no difference seen'
  return { ...kind, found: { a: a.estimate, b: b.estimate, difference: apart }, verdict }
}

function select(samples: readonly Sample[], name: string, labels: Labels): readonly Sample[] {
  const wanted = Object.entries(labels)
  return samples.filter((sample) => {
    return sample.name === name && wanted.every(([key, value]) => (sample.labels[key] ?? '') === value)
  })
}

/** Adds up the cumulative buckets of several series. */
function binsOf(buckets: readonly Sample[]): Bins {
  const upTo = new Map<number, number>()
  for (const { labels, value } of buckets) {
    const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)
    upTo.set(bound, (upTo.get(bound) ?? 0) + value)
  }
  const sorted = [...upTo].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    bounds: sorted.map(([bound]) => bound),
    counts: sorted.map(([, count], index) => count - (sorted[index - 1]?.[1] ?? 0)),
  }
}
