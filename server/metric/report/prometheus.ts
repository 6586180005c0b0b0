// Prometheus: what was counted in a span of time, asked of one by its HTTP API. Values are taken at steps, series by series, and
// added up here: `increase()` of its language would guess at the ends of the span, and miss the first count of a new series.
import type { Sample } from './scrape.ts'

export interface Span {
  /** Unix seconds. */
  readonly from: number
  readonly to: number
}

/** Which samples: those of these metrics whose label has one of these values. */
export interface Wanted {
  readonly metrics: readonly string[]
  readonly label: string
  readonly values: readonly string[]
}

export interface PrometheusOptions {
  readonly url: string
  /** Left out: what the URL says of a user, or nothing. */
  readonly token?: string | undefined
}

/** A series as it is answered: pairs of a time and a number as text. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, string])[]
}

/** Tells when each node's process began, and by its samples that the node was asked at all; of nobody else's processes. */
const STARTED = 'process_start_time_seconds and on (job, instance) parley_runs_active'
/** At most, from one end to the other: a restart loses what was counted since the last step. */
const STEPS = 300
const ANSWER_MS = 60_000

/** @throws Error that says what is wrong */
export async function countedIn(options: PrometheusOptions, span: Span, wanted: Wanted): Promise<readonly Sample[]> {
  const nodes = new Map<string, Series>()
  for (const series of await range(options, STARTED, span)) nodes.set(nodeOf(series), series)
  const values = wanted.values.map(escaped).join('|')
  const samples: Sample[] = []
  for (const metric of wanted.metrics) {
    const found = await range(options, `${metric}{${wanted.label}=~${JSON.stringify(values)}}`, span)
    samples.push(...found.map((series) => sampleOf(series, increase(series, nodes.get(nodeOf(series)), span.from))))
  }
  return samples
}

/** Values that a label of runs has had. @throws Error that says what is wrong */
export async function valuesIn(
  options: PrometheusOptions,
  span: Span,
  metric: string,
  label: string,
): Promise<Set<string>> {
  const found = await range(options, metric, span)
  return new Set(found.map((series) => series.metric[label] ?? ''))
}

/**
 * What a counter rose by from the beginning of the span on.
 * @param node the times of its process's start, as that was asked at the same steps
 */
export function increase(series: Series, node: Series | undefined, from: number): number {
  const [first, ...others] = series.values
  if (first === undefined) return 0
  // A series is there from its first count on. Where its node was asked before that, or began later, it began at 0.
  const wasAsked = (node?.values[0]?.[0] ?? first[0]) < first[0]
  const began = Number(node?.values[0]?.[1] ?? 0)
  let last = Number(first[1])
  let risen = wasAsked || began >= from ? last : 0
  for (const [, text] of others) {
    const value = Number(text)
    // Lower than before: its node has begun anew, and all it shows was counted since.
    risen += value >= last ? value - last : value
    last = value
  }
  return risen
}

function sampleOf({ metric }: Series, value: number): Sample {
  const { __name__: name = '', ...labels } = metric
  return { name, labels, value }
}

function nodeOf({ metric: { job, instance, node } }: Series): string {
  return JSON.stringify([job, instance, node])
}

async function range({ url, token }: PrometheusOptions, query: string, { from, to }: Span): Promise<readonly Series[]> {
  const address = new URL(`${url.replace(/\/$/, '')}/api/v1/query_range`)
  // In whole milliseconds, and so that the last step is at the end, or a moment after it.
  const count = Math.min(STEPS, Math.max(1, Math.floor(to - from)))
  const step = Math.ceil(((to - from) * 1000) / count) / 1000
  const { username, password } = address
  const basic = `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
  address.username = ''
  address.password = ''
  const authorization = token !== undefined ? `Bearer ${token}` : username === '' ? undefined : basic
  let answer: unknown
  try {
    const response = await fetch(address, {
      method: 'POST',
      body: new URLSearchParams({ query, start: String(from), end: String(from + count * step), step: String(step) }),
      headers: authorization === undefined ? {} : { Authorization: authorization },
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const text = await response.text()
    answer = text.startsWith('{') ? JSON.parse(text) : { error: `it answered ${response.status}` }
  } catch (error) {
    const cause = error instanceof Error ? (error.cause instanceof Error ? error.cause : error).message : 'unknown'
    throw new Error(`the Prometheus at ${address.origin} cannot be asked: ${cause}`, { cause: error })
  }
  const { data, error = 'its answer is none of Prometheus' } = answer as {
    readonly data?: { readonly resultType?: string; readonly result?: readonly Series[] }
    readonly error?: string
  }
  if (data?.resultType !== 'matrix' || data.result === undefined) {
    throw new Error(`the Prometheus at ${address.origin} cannot tell: ${error}`)
  }
  return data.result
}

/** In a regular expression of Prometheus (RE2). */
function escaped(value: string): string {
  return value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
