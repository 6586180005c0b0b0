// Reads the increases of counters in a period from Prometheus's HTTP API. It reads values at steps and adds them up here:
// PromQL's `increase()` would extrapolate at the ends of the period, and miss the first count of a new series.
import type { Sample } from './scrape.ts'

export interface Span {
  /** Unix seconds. */
  readonly from: number
  readonly to: number
}

/** Selects the samples of these metrics whose label has one of these values. */
export interface Wanted {
  readonly metrics: readonly string[]
  readonly label: string
  readonly values: readonly string[]
}

export interface PrometheusOptions {
  readonly url: string
  /** Bearer token. Undefined: user and password of the URL, if any. */
  readonly token?: string | undefined
}

/** A series in Prometheus's JSON: pairs of a time and a number as text. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, string])[]
}

/** The start time of each node's process; its samples show when the node was scraped. Excludes processes of other programs. */
const STARTED = 'process_start_time_seconds and on (job, instance) parley_runs_active'
/** Steps of a period. A restart loses the counts since the last step. */
const STEPS = 300
const ANSWER_MS = 60_000

/** @throws Error for the user */
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

/** Values of a label in the period. @throws Error for the user */
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
 * The increase of a counter since the start of the period.
 * @param node the start times of its process, at the same steps
 */
export function increase(series: Series, node: Series | undefined, from: number): number {
  const [first, ...others] = series.values
  if (first === undefined) return 0
  // A series exists from its first count on. If its node was scraped earlier, or started later, it began at 0.
  const wasAsked = (node?.values[0]?.[0] ?? first[0]) < first[0]
  const began = Number(node?.values[0]?.[1] ?? 0)
  let last = Number(first[1])
  let risen = wasAsked || began >= from ? last : 0
  for (const [, text] of others) {
    const value = Number(text)
    // A lower value: its node restarted, and counted the whole value since.
    risen += value >= last ? value - last : value
    last = value
  }
  return risen
}

const AGE = /^(\d{1,6})(s|m|h|d)(?: ago)?$/
const UNIT_S = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** @param text a date, an age such as `3h`, or `now` @param now Unix seconds @returns Unix seconds @throws Error for the user */
export function secondsOf(text: string, now: number): number {
  if (text === 'now') return now
  const [, count, unit] = AGE.exec(text) ?? []
  if (unit !== undefined) return now - Number(count) * UNIT_S[unit as keyof typeof UNIT_S]
  const time = Date.parse(text) / 1000
  if (Number.isNaN(time)) throw new Error(`${text} is not a time. Examples: 2026-11-23T08:00Z, 3h`)
  return time
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
  // The step is in whole milliseconds, and the last one is at the end of the period or just after it.
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
    answer = text.startsWith('{') ? JSON.parse(text) : { error: `status ${response.status}` }
  } catch (error) {
    const cause = error instanceof Error ? (error.cause instanceof Error ? error.cause : error).message : 'unknown'
    throw new Error(`Prometheus at ${address.origin} is not reachable: ${cause}`, { cause: error })
  }
  const { data, error = 'the response is not from Prometheus' } = answer as {
    readonly data?: { readonly resultType?: string; readonly result?: readonly Series[] }
    readonly error?: string
  }
  if (data?.resultType !== 'matrix' || data.result === undefined) {
    throw new Error(`Prometheus at ${address.origin} failed: ${error}`)
  }
  return data.result
}

/** Escapes a text for a regular expression of Prometheus (RE2). */
function escaped(value: string): string {
  return value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
