// Late steering messages: those that the model of the steered run did not receive. Each gets a run of its own. Pure.
import type { RunEnded } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import { type RunOutput, takenMessages } from './run-output.ts'
import { queuedRun, type RunRecord } from './run-record.ts'
import { findRun, type MessageState, type SessionState } from './session-state.ts'

/**
 * The steering messages that need a run of their own after this end, because the model did not receive them. A
 * completed run leaves all of them. A run that was ended from outside discards them, except those after its original
 * end (`event.at`): compaction may have moved the end behind them.
 */
export function lateSteers(
  state: SessionState,
  run: RunRecord,
  event: RunEnded,
  output: RunOutput | undefined,
): readonly MessageState[] {
  if (run.steers.length === 0) return []
  const taken = new Set(takenMessages(output))
  const from = event.reason === 'completed' ? 0 : (event.at ?? Number.POSITIVE_INFINITY)
  return state.messages.filter(
    ({ seq, event: message }) => seq > from && run.steers.includes(message.id) && !taken.has(message.id),
  )
}

export function withLateSteers(
  state: SessionState,
  open: readonly RunRecord[],
  late: readonly MessageState[],
): readonly RunRecord[] {
  if (late.length === 0) return open
  const runs = late.map(({ event, seq }) => {
    const interrupt = state.messages.find((other) => other.seq > seq && other.event.policy === 'interrupt')
    return { ...queuedRun(lateSteerRun(event.id), event, seq), supersededBy: interrupt?.event.id }
  })
  return [...open, ...runs].sort((a, b) => a.order - b.order)
}

/**
 * Ensures that a late steering message's run exists. Its first entry may precede the end of the run that was steered,
 * because compaction moves that end behind it. The message then no longer belongs to the steered run.
 */
export function withLateSteerRun(state: SessionState, id: string): SessionState {
  if (findRun(state, id) !== undefined) return state
  const message = state.messages.find(({ event }) => event.policy === 'steer' && lateSteerRun(event.id) === id)
  if (message === undefined) return state
  const open = state.open.map((run) => ({ ...run, steers: run.steers.filter((steer) => steer !== message.event.id) }))
  return { ...state, open: withLateSteers(state, open, [message]) }
}
