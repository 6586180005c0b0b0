// RunReport: what is told of a run to somebody who asks now and then: its state, its progress, and its result once it has
// ended. Pure; the same for every door, and on every node that has folded the session as far.
import { ERRORS, type JobProgress, type JobState, type OutputPart, type RunResult } from '@parley/protocol'
import type { Seq } from '../store/ports/entry.ts'
import { markUnseen, takenMessages, toParts } from './state/run-output.ts'
import { type RunRecord, waitsForOthers } from './state/run-record.ts'
import type { SessionState } from './state/session-state.ts'

/** A run, and the state that was folded from at least all of its entries. */
export interface FoundRun {
  readonly state: SessionState
  readonly view: RunRecord
}

export function jobState(view: RunRecord): JobState {
  if (view.ended !== undefined) return view.ended.reason
  if (view.phase === 'queued') return 'queued'
  return waitsForOthers(view) ? 'waiting' : 'running'
}

export function runProgress({ state, view }: FoundRun): JobProgress {
  const calls = [...view.calls.values()]
  const { startedAt, endedAt, model, ended } = view
  return {
    outputs: view.next,
    step: stepOf(view),
    calls: calls.length,
    callsOpen: view.phase === 'ended' ? 0 : calls.filter((call) => call.result === undefined).length,
    createdAt: createdAt({ state, view }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(ended === undefined ? {} : { outputTokens: ended.usage.outputTokens }),
    ...(model === undefined ? {} : { model }),
    ...(view.phase === 'queued' ? { ahead: state.open.filter((other) => other.order < view.order).length } : {}),
  }
}

/** Unix milliseconds at which the run's message came. */
export function createdAt({ state, view }: FoundRun): number {
  const message = state.messages.find(({ event }) => event.id === view.message)
  return message?.time ?? view.startedAt ?? view.endedAt ?? 0
}

/** The run's result; undefined until it has ended. @param cursor of its end */
export function runResult(
  session: string,
  view: RunRecord,
  cursor: (seq: Seq) => string,
): Omit<RunResult, 'id'> | undefined {
  const { ended } = view
  if (ended === undefined) return undefined
  const parts = toParts(view.output)
  const output = view.seen === undefined ? parts : markUnseen(parts, view.seen)
  const { error } = ended
  return {
    session,
    run: view.id,
    state: ended.reason,
    message: view.message,
    output,
    text: textOf(output),
    usage: ended.usage,
    ...(view.model === undefined ? {} : { model: view.model }),
    ...(error === undefined ? {} : { error: { ...error, retryable: ERRORS[error.code]?.retryable ?? false } }),
    cursor: cursor(view.last),
  }
}

/** What was said, without what the person did not see. */
export function textOf(output: readonly OutputPart[]): string {
  return output.map((part) => (part.type === 'text' && part.unseen !== true ? part.text : '')).join('')
}

/** The sequence number of the last entry that concerns the run: while it stays, nothing of the run has changed. */
export function lastOf({ state, view }: FoundRun): Seq {
  const messages = state.messages.filter(({ event }) => event.run === view.id || event.id === view.message)
  return Math.max(view.order, view.last, ...messages.map(({ seq }) => seq), ...lastsOfCalls(view))
}

/** Ids of the messages that the run answers, or was steered by. */
export function messagesOf(view: RunRecord): ReadonlySet<string> {
  return new Set([view.message, ...view.steers, ...takenMessages(view.output)])
}

function lastsOfCalls(view: RunRecord): Seq[] {
  return [...view.calls.values()].map((call) => call.last)
}

/** The model call that it is at: the one whose tools it waits for, or the one after. */
function stepOf(view: RunRecord): number {
  const calls = [...view.calls.values()]
  const last = Math.max(-1, ...calls.map((call) => call.step))
  if (last < 0) return 0
  const settled = calls.every((call) => call.step < last || call.result !== undefined)
  return settled && view.phase !== 'ended' ? last + 1 : last
}
