// Comparison: two groups of runs, told apart by one label, side by side. All rows together raise a false alarm in at most
// one of twenty comparisons of equal groups: each row is held to its share of that.
import { type Bins, difference, type Interval, proportion, quantile, sum, zOf } from './interval.ts'
import type { Sample } from './scrape.ts'

export interface Groups {
  readonly label: string
  readonly a: string
  readonly b: string
}

export interface Row {
  readonly what: string
  readonly unit: 'seconds' | 'share'
  /** Observations of each group. */
  readonly counts: readonly [number, number]
  /** Undefined where there is too little data. */
  readonly found: { readonly a: number; readonly b: number; readonly difference: Interval } | undefined
  readonly verdict: 'lower' | 'higher' | 'no difference seen' | 'too little data'
}

type Labels = Readonly<Record<string, string>>

const FALSE_ALARMS = 0.05
/** Beyond a quantile, and of a group whose share is asked for. */
const FEWEST_BEYOND = 10
const FEWEST_RUNS = 30
const TIMES = [
  ['first token', 'gen_ai_server_time_to_first_token_seconds', {}],
  ['completion', 'gen_ai_server_request_duration_seconds', { error_type: '' }],
] as const
const QUANTILES = [0.5, 0.95]
const ENDS = ['failed', 'cancelled', 'superseded']
const RUNS = 'parley_runs_total'

/** @param samples what was counted in the time that is looked at */
export function compare(samples: readonly Sample[], { label, a, b }: Groups): readonly Row[] {
  const rows = TIMES.length * QUANTILES.length + ENDS.length + 1
  const z = zOf(1 - FALSE_ALARMS / rows)
  const of = (name: string, group: string, labels: Labels = {}) => chosen(samples, name, { ...labels, [label]: group })
  const times = TIMES.flatMap(([what, name, labels]) => {
    const [left, right] = [a, b].map((group) => binsOf(of(`${name}_bucket`, group, labels))) as [Bins, Bins]
    return QUANTILES.map((q) => timeRow(`${what}, p${q * 100}`, left, right, q, z))
  })
  const count = (name: string, group: string, labels?: Labels) => sum(of(name, group, labels).map(({ value }) => value))
  const ended = (group: string, outcome: string) => count(RUNS, group, { outcome })
  const ends = ENDS.map((outcome) => {
    return shareRow(outcome, [ended(a, outcome), count(RUNS, a)], [ended(b, outcome), count(RUNS, b)], z)
  })
  const left = (group: string): [number, number] => [
    count('parley_runs_abandoned_total', group),
    ended(group, 'completed') + ended(group, 'failed'),
  ]
  return [...times, ...ends, shareRow('abandoned', left(a), left(b), z)]
}

function timeRow(what: string, a: Bins, b: Bins, q: number, z: number): Row {
  const counts = [sum(a.counts), sum(b.counts)] as const
  if (Math.min(...counts) * (1 - q) < FEWEST_BEYOND) return unknown(what, 'seconds', counts)
  return row(what, 'seconds', counts, quantile(a, q, z), quantile(b, q, z))
}

function shareRow(what: string, a: readonly [number, number], b: readonly [number, number], z: number): Row {
  const counts = [a[1], b[1]] as const
  if (Math.min(...counts) < FEWEST_RUNS) return unknown(what, 'share', counts)
  return row(what, 'share', counts, proportion(...a, z), proportion(...b, z))
}

function row(what: string, unit: Row['unit'], counts: Row['counts'], a: Interval, b: Interval): Row {
  const apart = difference(a, b)
  // Values beyond the last bound are not known.
  if (!Number.isFinite(a.estimate) || !Number.isFinite(b.estimate)) return unknown(what, unit, counts)
  const verdict = apart.low > 0 ? 'higher' : apart.high < 0 ? 'lower' : 'no difference seen'
  return { what, unit, counts, found: { a: a.estimate, b: b.estimate, difference: apart }, verdict }
}

function unknown(what: string, unit: Row['unit'], counts: Row['counts']): Row {
  return { what, unit, counts, found: undefined, verdict: 'too little data' }
}

function chosen(samples: readonly Sample[], name: string, labels: Labels): readonly Sample[] {
  const wanted = Object.entries(labels)
  return samples.filter((sample) => {
    return sample.name === name && wanted.every(([key, value]) => (sample.labels[key] ?? '') === value)
  })
}

/** Of cumulated buckets, those of several series added up. */
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
