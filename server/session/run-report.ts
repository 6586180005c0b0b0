// RunReport: the state, progress and result of a run for clients that poll. Pure; the same over every transport, and on
// every node that has applied the same entries.
import {
  ERRORS,
  type JobProgress,
  type JobState,
  type OutputPart,
  type RunError,
  type RunResult,
  textGap,
} from '@parley/protocol'
import type { Seq } from '../store/ports/entry.ts'
import { openBelow } from './state/child-runs.ts'
import { markUnseen, takenMessages, toParts } from './state/run-output.ts'
import { awaitsClients, type RunRecord } from './state/run-record.ts'
import type { SessionState } from './state/session-state.ts'

/** A run, and a state that includes all of its entries. */
export interface FoundRun {
  readonly state: SessionState
  readonly record: RunRecord
}

/** A run also waits while an agent that it asked waits. */
export function jobState({ state, record }: FoundRun): JobState {
  if (record.ended !== undefined) return record.ended.reason
  if (record.phase === 'queued') return 'queued'
  return [record, ...openBelow(state, record.id)].some(awaitsClients) ? 'waiting' : 'running'
}

export function runProgress({ state, record }: FoundRun): JobProgress {
  const calls = [...record.calls.values()]
  const { startedAt, endedAt, model, ended } = record
  return {
    outputs: record.next,
    step: stepOf(record),
    calls: calls.length,
    callsOpen: record.phase === 'ended' ? 0 : calls.filter((call) => call.result === undefined).length,
    createdAt: createdAt({ state, record }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(ended === undefined ? {} : { outputTokens: ended.usage.outputTokens }),
    ...(model === undefined ? {} : { model }),
    ...(record.phase === 'queued' ? { ahead: state.open.filter((other) => other.order < record.order).length } : {}),
  }
}

/** Unix milliseconds at which the run's message was appended. */
export function createdAt({ state, record }: FoundRun): number {
  const message = state.messages.find(({ event }) => event.id === record.message)
  return message?.time ?? record.startedAt ?? record.endedAt ?? 0
}

/** The run's result; undefined until it has ended. @param cursor formats the cursor of its end */
export function runResult(
  session: string,
  record: RunRecord,
  cursor: (seq: Seq) => string,
): Omit<RunResult, 'id'> | undefined {
  const { ended } = record
  if (ended === undefined) return undefined
  const parts = toParts(record.output)
  const output = record.seen === undefined ? parts : markUnseen(parts, record.seen)
  const { cut, error, notices } = ended
  return {
    session,
    run: record.id,
    state: ended.reason,
    message: record.message,
    output,
    text: textOf(output),
    usage: ended.usage,
    ...(cut === undefined ? {} : { cut }),
    ...(record.model === undefined ? {} : { model: record.model }),
    ...(notices === undefined ? {} : { notices }),
    ...(error === undefined ? {} : { error: { ...error, retryable: isRetryable(error) } }),
    cursor: cursor(record.last),
  }
}

/** Whether a new message may succeed after this failure. */
export function isRetryable({ code, retryable }: RunError): boolean {
  return retryable ?? ERRORS[code]?.retryable ?? false
}

/** Milliseconds until a retry after a provider's rate limit, if it gave none, and the range over which retries are spread. */
const RATE_LIMITED_MS = 5_000
const RATE_LIMITED_SPREAD_MS = 10_000

/** Milliseconds to wait before a retry; undefined if none helps, or if nothing is known. */
export function retryWaitMs({ ended, endedAt }: RunRecord, now: number = Date.now()): number | undefined {
  const error = ended?.error
  if (error === undefined || !isRetryable(error)) return undefined
  const { retryAfterMs } = error
  // At most `retryAfterMs`, even if the clock of the node that ended the run is ahead.
  if (retryAfterMs !== undefined) return Math.max(0, Math.min(0, (endedAt ?? now) - now) + retryAfterMs)
  return error.code === 'provider_rate_limited' ? RATE_LIMITED_MS + Math.random() * RATE_LIMITED_SPREAD_MS : undefined
}

/** The text of the output, without text that the person did not see. */
export function textOf(output: readonly OutputPart[]): string {
  return textsOf(output).join('')
}

/** The text of each part, with its gap to the text before; empty for any other part. */
export function textsOf(output: readonly OutputPart[]): string[] {
  let before = ''
  let isApart = false
  return output.map((part) => {
    if (part.type === 'tool' || part.type === 'message') isApart = true
    if (part.type !== 'text' || part.unseen === true || part.text === '') return ''
    const gap = isApart ? textGap(before, part.text) : ''
    before = part.text
    isApart = false
    return gap + part.text
  })
}

/** The sequence number of the last entry that concerns the run. If it is unchanged, the run is unchanged. */
export function lastSeqOf({ state, record }: FoundRun): Seq {
  const messages = state.messages.filter(({ event }) => event.run === record.id || event.id === record.message)
  const calls = [...record.calls.values()]
  return Math.max(record.order, record.last, ...messages.map(({ seq }) => seq), ...calls.map(({ last }) => last))
}

/** Ids of the run's message and of the messages that steered it. */
export function messageIdsOf(record: RunRecord): ReadonlySet<string> {
  return new Set([record.message, ...record.steers, ...takenMessages(record.output)])
}

/** The index of the current model call: the one whose tools are pending, or the next one. */
function stepOf(record: RunRecord): number {
  const calls = [...record.calls.values()]
  const last = Math.max(-1, ...calls.map((call) => call.step))
  if (last < 0) return 0
  const allAnswered = calls.every((call) => call.step < last || call.result !== undefined)
  return allAnswered && record.phase !== 'ended' ? last + 1 : last
}
