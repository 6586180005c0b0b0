// Comparison: two groups of runs, and of their readers, told apart by one label, side by side. All rows together raise a false alarm in at most
// one of twenty comparisons of equal groups: each row is held to its share of that.
import { type Bins, difference, type Interval, proportion, quantile, rate, sum, zOf } from './interval.ts'
import type { Sample } from './scrape.ts'

export interface Groups {
  readonly label: string
  readonly a: string
  readonly b: string
}

export interface Row {
  readonly what: string
  readonly unit: 'seconds' | 'share' | 'per 100 runs'
  /** Observations of each group. */
  readonly counts: readonly [number, number]
  /** Of each group, that there is anything to say. */
  readonly needed: number
  /** Undefined where there is too little data. */
  readonly found: { readonly a: number; readonly b: number; readonly difference: Interval } | undefined
  readonly verdict: 'lower' | 'higher' | 'no difference seen' | 'too little data'
}

type Labels = Readonly<Record<string, string>>
type Kind = Pick<Row, 'what' | 'unit' | 'counts' | 'needed'>
/** Of what was looked at, how much there was. */
type Part = readonly [number, number]

const FALSE_ALARMS = 0.05
/** Beyond a quantile, and of a group whose share is asked for. */
const FEWEST_BEYOND = 10
const FEWEST_RUNS = 30
const TIMES = [
  ['first token', 'gen_ai_server_time_to_first_token_seconds', {}, [0.5, 0.95]],
  ['completion', 'gen_ai_server_request_duration_seconds', { error_type: '' }, [0.5, 0.95]],
  ['interruption', 'parley_resume_gap_seconds', {}, [0.5]],
] as const
const ENDS = ['completed', 'failed', 'cancelled', 'superseded']
export const RUNS = 'parley_runs_total'
const ABANDONED = 'parley_runs_abandoned_total'
const ATTACHES = 'parley_attaches_total'
const GAPS = 'parley_resume_gap_seconds_count'
/** Of readers, which are of no model: told apart by other labels than runs are. */
const READER_LABELS: ReadonlySet<string> = new Set(['door', 'variant', 'node'])

/** Names of all that a comparison counts by. */
export const METRICS: readonly string[] = [
  ...TIMES.map(([, name]) => `${name}_bucket`),
  RUNS,
  ABANDONED,
  ATTACHES,
  GAPS,
]

/** @param samples what was counted in the time that is looked at */
export function compare(samples: readonly Sample[], { label, a, b }: Groups): readonly Row[] {
  const hasReaders = READER_LABELS.has(label)
  const times = TIMES.filter(([, name]) => hasReaders || !name.startsWith('parley_'))
  const quantiles = times.flatMap(([what, name, labels, qs]) => qs.map((q) => ({ what, name, labels, q })))
  const rows = quantiles.length + ENDS.length + 1 + (hasReaders ? 2 : 0)
  const z = zOf(1 - FALSE_ALARMS / rows)
  const of = (name: string, group: string, labels: Labels = {}) => chosen(samples, name, { ...labels, [label]: group })
  const count = (name: string, group: string, labels?: Labels) => sum(of(name, group, labels).map(({ value }) => value))
  const runs = [count(RUNS, a), count(RUNS, b)] as const
  const both = (counted: (group: string) => number): readonly [Part, Part] => [
    [counted(a), runs[0]],
    [counted(b), runs[1]],
  ]
  const ended = (outcome: string) => (group: string) => count(RUNS, group, { outcome })
  const waited = (group: string): Part => [count(ABANDONED, group), ended('completed')(group) + ended('failed')(group)]
  const back = (group: string) =>
    count(ATTACHES, group, { kind: 'resumed' }) + count(ATTACHES, group, { kind: 'reset' })
  return [
    ...quantiles.map(({ what, name, labels, q }) => {
      const [left, right] = [a, b].map((group) => binsOf(of(`${name}_bucket`, group, labels))) as [Bins, Bins]
      return timeRow(`${what}, p${q * 100}`, left, right, q, z)
    }),
    ...ENDS.map((outcome) => shareRow(outcome, ...both(ended(outcome)), z)),
    shareRow('abandoned', waited(a), waited(b), z),
    ...(hasReaders
      ? [rateRow('reconnects', ...both(back), z), rateRow('interruptions', ...both((group) => count(GAPS, group)), z)]
      : []),
  ]
}

function timeRow(what: string, a: Bins, b: Bins, q: number, z: number): Row {
  const counts = [sum(a.counts), sum(b.counts)] as const
  const needed = Math.ceil(FEWEST_BEYOND / (1 - q) - 1e-9)
  return row({ what, unit: 'seconds', counts, needed }, (bins) => quantile(bins, q, z), a, b)
}

function shareRow(what: string, a: Part, b: Part, z: number): Row {
  return partRow(what, 'share', a, b, (part) => proportion(...part, z))
}

function rateRow(what: string, a: Part, b: Part, z: number): Row {
  return partRow(what, 'per 100 runs', a, b, (part) => rate(...part, z))
}

function partRow(what: string, unit: Row['unit'], a: Part, b: Part, interval: (part: Part) => Interval): Row {
  return row({ what, unit, counts: [a[1], b[1]], needed: FEWEST_RUNS }, interval, a, b)
}

function row<T>(kind: Kind, interval: (group: T) => Interval, groupA: T, groupB: T): Row {
  const unknown: Row = { ...kind, found: undefined, verdict: 'too little data' }
  if (Math.min(...kind.counts) < kind.needed) return unknown
  const [a, b] = [interval(groupA), interval(groupB)]
  // Values beyond the last bound are not known.
  if (!Number.isFinite(a.estimate) || !Number.isFinite(b.estimate)) return unknown
  const apart = difference(a, b)
  const verdict = apart.low > 0 ? 'higher' : apart.high < 0 ? 'lower' : 'no difference seen'
  return { ...kind, found: { a: a.estimate, b: b.estimate, difference: apart }, verdict }
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
