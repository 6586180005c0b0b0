// RunRecord: the state of one run, derived from the log. Pure; apply-entry.ts computes it.
import type { MessageEvent, ParentCall, RelayedRequest, RunEnded } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import { awaitsDecision, type CallState, openQuestion } from './call-state.ts'
import type { RunOutput } from './run-output.ts'

export interface RunRecord {
  readonly id: string
  /** The message that it answers; of a child run: the id of its call. */
  readonly message: string
  /** Only of a child run: the call that it answers. */
  readonly parent: ParentCall | undefined
  /** The agent that answers, or will, if the log names it already. It changes with `run.handed`. */
  readonly agent: string | undefined
  /** The sequence number of the run's message or call. Runs of messages start in this order. */
  readonly order: Seq
  readonly phase: 'queued' | 'running' | 'ended'
  /** The number of the current or last attempt; 0 before the first. */
  readonly epoch: number
  /** Successive attempts without output. */
  readonly stalls: number
  readonly model: string | undefined
  /** The node of the current or last driver. */
  readonly owner: string | undefined
  /** The last sequence number on the run's subject. */
  readonly last: Seq
  /** The index of the next output. */
  readonly next: number
  readonly output: RunOutput | undefined
  /** The latest start dropped the output of all readers, and no snapshot has returned the complete steps to them. */
  readonly unreturned: boolean
  /** The model call whose response a relay may have; also of an ended run, until its end is compacted. */
  readonly request: RelayedRequest | undefined
  readonly calls: ReadonlyMap<string, CallState>
  /** Ids of `steer` messages to this run that its model has not received yet. */
  readonly steers: readonly string[]
  /** The id of the message that interrupts the run. */
  readonly supersededBy: string | undefined
  /** The message was sent with `reject`, but another run became active first. */
  readonly rejected: boolean
  /** The highest index that the person saw, if a client reported it. */
  readonly seen: number | undefined
  readonly ended: RunEnded | undefined
  /** Unix milliseconds at which the current or last attempt started; undefined before, or if compaction dropped it. */
  readonly startedAt: number | undefined
  /** Unix milliseconds. */
  readonly endedAt: number | undefined
}

/** A new run, which waits for its turn. */
export function queuedRun(id: string, event: MessageEvent, order: Seq): RunRecord {
  return { ...newRun(id, event.id, order), model: event.model }
}

const NO_CALLS: RunRecord['calls'] = new Map()

export function newRun(id: string, message: string, order: Seq): RunRecord {
  return {
    id,
    message,
    parent: undefined,
    agent: undefined,
    order,
    phase: 'queued',
    epoch: 0,
    stalls: 0,
    model: undefined,
    owner: undefined,
    last: 0,
    next: 0,
    output: undefined,
    unreturned: false,
    request: undefined,
    calls: NO_CALLS,
    steers: [],
    supersededBy: undefined,
    rejected: false,
    seen: undefined,
    ended: undefined,
    startedAt: undefined,
    endedAt: undefined,
  }
}

/** Whether an open run blocks the runs after it: the log does not imply its end. */
export function isActive(run: RunRecord): boolean {
  return run.supersededBy === undefined && !run.rejected
}

/** Whether the run cannot continue before a person decides or answers, or a client's tool has a result. */
export function awaitsClients(run: RunRecord): boolean {
  return [...run.calls.values()].some(
    (call) =>
      call.result === undefined &&
      (call.where === 'client' || awaitsDecision(call) || openQuestion(call) !== undefined),
  )
}

/** Whether the run cannot continue on its own: it waits for a person, a client, or an agent that it asked. */
export function awaitsOthers(run: RunRecord): boolean {
  return (
    awaitsClients(run) || [...run.calls.values()].some((call) => call.result === undefined && call.child !== undefined)
  )
}

/** The record after an output. Not spread: for an object of this size that is 20 times slower, at every token. */
export function withOutput(run: RunRecord, last: Seq, next: number, output: RunOutput | undefined): RunRecord {
  return {
    id: run.id,
    message: run.message,
    parent: run.parent,
    agent: run.agent,
    order: run.order,
    phase: run.phase,
    epoch: run.epoch,
    stalls: 0,
    model: run.model,
    owner: run.owner,
    last,
    next,
    output,
    unreturned: run.unreturned,
    request: run.request,
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
