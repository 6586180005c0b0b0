// RunRecord: one run of a session, as the log tells it. Pure; session-state.ts folds it.
import type { MessageEvent, RunEnded } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import { awaitsDecision, type CallState } from './call-state.ts'
import type { RunOutput } from './run-output.ts'

export interface RunRecord {
  readonly id: string
  readonly message: string
  /** The sequence number of its message: runs take their turn in this order. */
  readonly order: Seq
  readonly phase: 'queued' | 'running' | 'ended'
  /** 0 before the first owner. */
  readonly epoch: number
  /** Owners in a row that have brought nothing forth. */
  readonly stalls: number
  readonly model: string | undefined
  /** The node of its present, or last, owner. */
  readonly owner: string | undefined
  /** The last sequence number on the run's subject. */
  readonly last: Seq
  /** The index of its next output. */
  readonly next: number
  readonly output: RunOutput | undefined
  readonly calls: ReadonlyMap<string, CallState>
  /** Messages sent to it with `steer` that it has not taken yet. */
  readonly steers: readonly string[]
  /** The message that interrupts it. */
  readonly supersededBy: string | undefined
  /** It was sent with `reject` and lost the race: another run was active first. */
  readonly rejected: boolean
  /** The highest index that the person saw, where they told. */
  readonly seen: number | undefined
  readonly ended: RunEnded | undefined
  /** Unix milliseconds at which its present, or last, owner began; undefined before, and where a roll-up took it away. */
  readonly startedAt: number | undefined
  /** Unix milliseconds of its end. */
  readonly endedAt: number | undefined
}

/** A run that waits for its turn. */
export function queuedRun(id: string, event: MessageEvent, order: Seq): RunRecord {
  return {
    id,
    message: event.id,
    order,
    phase: 'queued',
    epoch: 0,
    stalls: 0,
    model: event.model,
    owner: undefined,
    last: 0,
    next: 0,
    output: undefined,
    calls: new Map(),
    steers: [],
    supersededBy: undefined,
    rejected: false,
    seen: undefined,
    ended: undefined,
    startedAt: undefined,
    endedAt: undefined,
  }
}

/** It stands in the way of others: nobody has ended it, in fact or by implication. */
export function isActive(run: RunRecord): boolean {
  return run.supersededBy === undefined && !run.rejected
}

/** It can go on only when a person has decided, or somebody's device has answered. */
export function waitsForOthers(run: RunRecord): boolean {
  return [...run.calls.values()].some(
    (call) => call.result === undefined && (call.where === 'client' || awaitsDecision(call)),
  )
}

/** What an output changes. A literal: spreading an object of this size costs twenty times as much, at every token. */
export function grown(run: RunRecord, last: Seq, next: number, output: RunOutput | undefined): RunRecord {
  return {
    id: run.id,
    message: run.message,
    order: run.order,
    phase: run.phase,
    epoch: run.epoch,
    stalls: 0,
    model: run.model,
    owner: run.owner,
    last,
    next,
    output,
    calls: run.calls,
    steers: run.steers,
    supersededBy: run.supersededBy,
    rejected: run.rejected,
    seen: run.seen,
    ended: run.ended,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
  }
}
