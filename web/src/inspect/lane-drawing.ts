// LaneDrawing: a run's lane as bars and marks on a horizontal line, from its message to its end, and the same in words.
// Pure. Positions are fractions of the line, from 0 to 1.
import { span } from './entry-note.ts'
import type { LaneAttempt, LaneCall, RunLane } from './run-lane.ts'

export type BarKind = 'queued' | 'running' | 'silent' | 'unknown' | 'deciding' | 'offered' | 'executing' | 'failed'

export interface Bar {
  readonly kind: BarKind
  readonly from: number
  readonly to: number
  /** The tooltip. */
  readonly label: string
}

export interface Mark {
  readonly kind: 'first' | 'failover' | 'end'
  readonly at: number
  readonly label: string
}

export interface CallRow {
  readonly call: string
  readonly name: string
  readonly bars: readonly Bar[]
}

export interface LaneDrawing {
  readonly bars: readonly Bar[]
  readonly marks: readonly Mark[]
  readonly calls: readonly CallRow[]
  /** The number of calls that are not drawn. */
  readonly more: number
  /** Milliseconds of the whole line. */
  readonly length: number
  /** The position of a time; undefined if it is outside. */
  positionOf(time: number): number | undefined
}

/** Only the first calls of a run are drawn. */
const CALLS_MAX = 8

/** @param now the last time in the log: an unfinished run extends to it */
export function drawLane(lane: RunLane, now: number): LaneDrawing {
  const begin = lane.startAt
  const finish = Math.max(lane.end?.at ?? now, begin + 1, ...(lane.end === undefined ? [lane.lastAt] : []))
  const length = finish - begin
  const at = (time: number): number => Math.min(1, Math.max(0, (time - begin) / length))
  const bar = (kind: BarKind, from: number, to: number, what: string): Bar => {
    return { kind, from: at(from), to: at(to), label: `${what}: ${span(to - from)}` }
  }
  const first = lane.attempts[0]
  const bars: Bar[] = []
  if (first === undefined) bars.push(bar(lane.compacted ? 'unknown' : 'queued', begin, finish, beforeStart(lane)))
  else if (first.attempt === 1) bars.push(bar('queued', begin, first.at, 'Queued'))
  else bars.push(bar('unknown', begin, first.at, 'Queued, and earlier attempts (compacted)'))
  for (const [index, attempt] of lane.attempts.entries()) {
    const next = lane.attempts[index + 1]?.at ?? finish
    const to = attempt.until ?? next
    bars.push(bar('running', attempt.at, to, nameOf(attempt)))
    if (next > to) bars.push(bar('silent', to, next, 'No heartbeat until failover'))
  }
  const marks: Mark[] = lane.attempts
    .slice(1)
    .map((attempt) => ({ kind: 'failover', at: at(attempt.at), label: `Failover: attempt ${attempt.attempt}` }))
  if (lane.firstAt !== undefined) marks.push({ kind: 'first', at: at(lane.firstAt), label: 'First output' })
  if (lane.end !== undefined) marks.push({ kind: 'end', at: 1, label: endOf(lane) })
  const calls = lane.calls.slice(0, CALLS_MAX).map((call) => ({
    call: call.call,
    name: call.name,
    bars: barsOf(call, finish, bar),
  }))
  const positionOf = (time: number): number | undefined => (time < begin || time > finish ? undefined : at(time))
  return { bars, marks, calls, more: lane.calls.length - calls.length, length, positionOf }
}

type MakeBar = (kind: BarKind, from: number, to: number, what: string) => Bar

/** The bars of a call: its approval, its offer, and each device that claimed it. */
function barsOf(call: LaneCall, finish: number, bar: MakeBar): readonly Bar[] {
  const { name, calledAt, approval, decided, claims, result } = call
  const end = result?.at ?? finish
  const bars: Bar[] = []
  let from = calledAt
  if (approval) {
    const to = Math.min(decided?.at ?? end, end)
    bars.push(
      bar('deciding', from, to, `${name}, ${decided === undefined ? 'waiting for approval' : decisionOf(decided)}`),
    )
    from = to
  }
  if (decided?.decision === 'deny') return bars
  const [claim] = claims
  if (claim !== undefined && claim.at > from) {
    bars.push(bar('offered', from, claim.at, `${name}, waiting for a device`))
    from = claim.at
  }
  for (const [index, { at, connection }] of claims.entries()) {
    const to = claims[index + 1]?.at ?? end
    const failed = index === claims.length - 1 && result?.failed === true
    bars.push(bar(failed ? 'failed' : 'executing', Math.max(at, from), to, `${name}, on ${connection}`))
  }
  if (claim === undefined && end > from) {
    bars.push(bar(result === undefined ? 'offered' : result.failed ? 'failed' : 'executing', from, end, name))
  }
  return bars
}

/** The lane of a run whose log has no attempt. */
function beforeStart({ end, compacted }: RunLane): string {
  if (compacted) return 'Compacted: attempts unknown'
  return end === undefined ? 'Queued' : 'Cancelled before it started'
}

export function endOf({ end }: RunLane): string {
  if (end === undefined) return 'in progress'
  const by = end.by === undefined ? '' : ` by ${end.by}`
  const why = end.error === undefined ? '' : `: ${end.error.code}`
  return `${end.reason}${by}${why}`
}

/** The lane in words: for screen readers, and for the exact times. */
export function wordsOf(lane: RunLane, now: number): readonly string[] {
  const { attempts, firstAt, startAt, end, calls, separateOutputs, outputs, compacted } = lane
  const words: string[] = []
  const first = attempts[0]
  if (first === undefined) words.push(`${beforeStart(lane)}.`)
  else {
    const earlier = first.attempt - 1
    if (earlier === 0) words.push(`Queued for ${span(first.at - startAt)}.`)
    else words.push(`${earlier} earlier ${earlier === 1 ? 'attempt was' : 'attempts were'} compacted.`)
    const later = attempts.slice(1).map((attempt, index) => laterAttempt(attempt, attempts[index]?.until))
    words.push(`${[nameOf(first), ...later].join(', then ')}.`)
    if (firstAt !== undefined) words.push(`First output ${span(firstAt - first.at)} after the start.`)
  }
  for (const call of calls.slice(0, CALLS_MAX)) words.push(`${callInWords(call)}.`)
  if (calls.length > CALLS_MAX) words.push(`${calls.length - CALLS_MAX} more tool calls.`)
  words.push(`${outputs} ${outputs === 1 ? 'output' : 'outputs'}${end === undefined ? ' so far' : ''}.`)
  if (compacted) words.push(`Compacted: text of ${outputs - separateOutputs} outputs kept, timing dropped.`)
  words.push(
    end === undefined
      ? `In progress for ${span(now - startAt)}.`
      : `${capitalize(endOf(lane))} after ${span(end.at - startAt)}.`,
  )
  return words
}

function nameOf({ attempt, node, mode }: LaneAttempt): string {
  return `Attempt ${attempt} on ${node ?? 'an unknown node'}${mode === undefined ? '' : ` (${mode})`}`
}

/** @param silentSince the last entry of the previous attempt */
function laterAttempt(attempt: LaneAttempt, silentSince: number | undefined): string {
  const after = silentSince === undefined ? '' : ` after ${span(attempt.at - silentSince)} without output`
  return `a${nameOf(attempt).slice(1)}${after}`
}

function callInWords({ name, approval, calledAt, decided, claims, result }: LaneCall): string {
  const parts = [`${name} was called`]
  if (decided !== undefined) parts.push(`${decisionOf(decided)} after ${span(decided.at - calledAt)}`)
  else if (approval) parts.push('waiting for approval')
  if (claims.length > 0) parts.push(`claimed by ${claims.map(({ connection }) => connection).join(', then ')}`)
  if (result !== undefined) parts.push(`${result.failed ? 'failed' : 'completed'} after ${span(result.at - calledAt)}`)
  return parts.join(', ')
}

function decisionOf({ decision, by }: NonNullable<LaneCall['decided']>): string {
  return `${decision === 'approve' ? 'approved' : 'denied'} by ${by}`
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
