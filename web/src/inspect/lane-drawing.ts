// LaneDrawing: a run's lane as bars and marks on a line of its own, from its message to its end, and the same in words.
// Pure. Places are parts of the line, from 0 to 1.
import { span } from './entry-note.ts'
import type { LaneCall, LaneOwner, RunLane } from './run-lane.ts'

export type BarKind = 'waits' | 'drives' | 'silent' | 'unknown' | 'decides' | 'offered' | 'executes' | 'failed'

export interface Bar {
  readonly kind: BarKind
  readonly from: number
  readonly to: number
  /** For who points at it. */
  readonly label: string
}

export interface Mark {
  readonly kind: 'first' | 'take-over' | 'end'
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
  /** Calls that are not drawn. */
  readonly more: number
  /** Milliseconds of the whole line. */
  readonly length: number
  /** Where a moment lies; undefined when it is outside. */
  place(time: number): number | undefined
}

/** Calls of a run that are drawn, the first ones. */
const CALLS_MAX = 8

/** @param now the last time that the log tells of: an unfinished run goes on up to it */
export function drawLane(lane: RunLane, now: number): LaneDrawing {
  const begin = lane.startAt
  const over = Math.max(lane.end?.at ?? now, begin + 1, ...(lane.end === undefined ? [lane.lastAt] : []))
  const length = over - begin
  const at = (time: number): number => Math.min(1, Math.max(0, (time - begin) / length))
  const bar = (kind: BarKind, from: number, to: number, what: string): Bar => {
    return { kind, from: at(from), to: at(to), label: `${what}: ${span(to - from)}` }
  }
  const first = lane.owners[0]
  const bars: Bar[] = []
  if (first === undefined) bars.push(bar(lane.rolledUp ? 'unknown' : 'waits', begin, over, waiting(lane)))
  else if (first.epoch === 1) bars.push(bar('waits', begin, first.at, 'Waited for its turn'))
  else bars.push(bar('unknown', begin, first.at, 'Waited, and earlier owners; rolled up'))
  for (const [index, owner] of lane.owners.entries()) {
    const next = lane.owners[index + 1]?.at ?? over
    const to = owner.until ?? next
    const mode = owner.mode === undefined ? '' : `, ${owner.mode}`
    bars.push(
      bar(
        'drives',
        owner.at,
        to,
        `Epoch ${owner.epoch} on ${owner.node ?? 'a node that the log does not name'}${mode}`,
      ),
    )
    if (next > to) bars.push(bar('silent', to, next, 'Nothing was heard of it, until it was taken over'))
  }
  const marks: Mark[] = lane.owners
    .slice(1)
    .map((owner) => ({ kind: 'take-over', at: at(owner.at), label: `Taken over: epoch ${owner.epoch}` }))
  if (lane.firstAt !== undefined) marks.push({ kind: 'first', at: at(lane.firstAt), label: 'First output' })
  if (lane.end !== undefined) marks.push({ kind: 'end', at: 1, label: endOf(lane) })
  const calls = lane.calls.slice(0, CALLS_MAX).map((call) => ({
    call: call.call,
    name: call.name,
    bars: barsOf(call, over, bar),
  }))
  const place = (time: number): number | undefined => (time < begin || time > over ? undefined : at(time))
  return { bars, marks, calls, more: lane.calls.length - calls.length, length, place }
}

type MakeBar = (kind: BarKind, from: number, to: number, what: string) => Bar

/** From the call to its decision, to whom it was claimed by, to its result: those of them that there were. */
function barsOf(call: LaneCall, over: number, bar: MakeBar): readonly Bar[] {
  const { calledAt, approval, decided, claims, result } = call
  const end = result?.at ?? over
  const bars: Bar[] = []
  let from = calledAt
  if (approval) {
    const to = Math.min(decided?.at ?? end, end)
    const what = decided === undefined ? 'waited for a decision' : `${decided.decision} by ${decided.by}`
    bars.push(bar('decides', from, to, `${call.name}, ${what}`))
    from = to
  }
  if (decided?.decision === 'deny') return bars
  const [claim] = claims
  if (claim !== undefined && claim.at > from) {
    bars.push(bar('offered', from, claim.at, `${call.name}, on offer`))
    from = claim.at
  }
  for (const [index, { at, connection }] of claims.entries()) {
    const to = claims[index + 1]?.at ?? end
    const failed = index === claims.length - 1 && result?.failed === true
    bars.push(bar(failed ? 'failed' : 'executes', Math.max(at, from), to, `${call.name}, by ${connection}`))
  }
  if (claim === undefined && end > from) {
    bars.push(bar(result === undefined ? 'offered' : result.failed ? 'failed' : 'executes', from, end, call.name))
  }
  return bars
}

function waiting({ end, rolledUp }: RunLane): string {
  if (rolledUp) return 'Rolled up: when it was driven is not known any more'
  return end === undefined ? 'Waits for its turn' : 'Ended before its turn came'
}

export function endOf({ end }: RunLane): string {
  if (end === undefined) return 'Unfinished'
  const by = end.by === undefined ? '' : ` by ${end.by}`
  const why = end.error === undefined ? '' : `: ${end.error.code}`
  return `${end.reason}${by}${why}`
}

/** The lane in words, for those who do not see the drawing, and for the numbers. */
export function wordsOf(lane: RunLane, now: number): readonly string[] {
  const { owners, firstAt, startAt, end, calls, told, outputs, rolledUp } = lane
  const words: string[] = []
  const first = owners[0]
  if (first === undefined) words.push(`${waiting(lane)}.`)
  else {
    if (first.epoch === 1) words.push(`Waited ${span(first.at - startAt)}.`)
    else words.push(`${first.epoch - 1} earlier ${first.epoch === 2 ? 'owner is' : 'owners are'} rolled up.`)
    words.push(`${owners.map((owner, index) => ownerInWords(owner, owners[index - 1]?.until)).join(', then ')}.`)
    if (firstAt !== undefined) words.push(`First output ${span(firstAt - first.at)} after that began.`)
  }
  for (const call of calls.slice(0, CALLS_MAX)) words.push(`${inWords(call)}.`)
  if (calls.length > CALLS_MAX) words.push(`${calls.length - CALLS_MAX} more tool calls.`)
  words.push(`${outputs} ${outputs === 1 ? 'output' : 'outputs'}${end === undefined ? ' so far' : ''}.`)
  if (rolledUp) words.push(`Rolled up: of ${outputs - told} of them the log keeps the whole, not when each came.`)
  words.push(
    end === undefined
      ? `Unfinished after ${span(now - startAt)}.`
      : `${capital(endOf(lane))} after ${span(end.at - startAt)}.`,
  )
  return words
}

/** @param since when the owner before it was last heard of */
function ownerInWords({ epoch, node, mode, at }: LaneOwner, since: number | undefined): string {
  const after = since === undefined ? '' : `after ${span(at - since)} of silence `
  return `${after}Epoch ${epoch} on ${node ?? 'an unnamed node'}${mode === undefined ? '' : ` (${mode})`}`
}

function inWords({ name, approval, calledAt, decided, claims, result }: LaneCall): string {
  const parts = [`${name} was called`]
  if (decided !== undefined) {
    parts.push(
      `${decided.decision === 'approve' ? 'approved' : 'denied'} by ${decided.by} after ${span(decided.at - calledAt)}`,
    )
  } else if (approval) parts.push('waits for a decision')
  if (claims.length > 0) parts.push(`claimed by ${claims.map(({ connection }) => connection).join(', then ')}`)
  if (result !== undefined) parts.push(`${result.failed ? 'failed' : 'answered'} after ${span(result.at - calledAt)}`)
  return parts.join(', ')
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
