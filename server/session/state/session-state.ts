// SessionState: a session as its log describes it, and the questions that the server asks of it. Pure data: apply-entry.ts makes
// the next state from the next entry. Participants that have read the same entries hold the same state, so they agree on
// which run is active, what was superseded, and who holds a tool call.
import type { MessageEvent, RunEnded, Tool } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import type { CommandRecord } from '../../store/ports/transcript-store.ts'
import type { CallState } from './call-state.ts'
import { type Members, NO_MEMBERS } from './members.ts'
import { isActive, type RunRecord } from './run-record.ts'

export interface MessageState {
  readonly seq: Seq
  readonly time: number
  readonly event: MessageEvent
}

export interface Tombstone {
  /** The entry's. */
  readonly seq: Seq
  /** Unix milliseconds. */
  readonly time: number
  readonly by: string
  readonly command: string | undefined
  /** Entries came after it: they are to be purged, too. */
  readonly late: boolean
}

export interface SessionState {
  /** The last entry folded. */
  readonly seq: Seq
  readonly title: string | undefined
  readonly tools: ReadonlyMap<string, Tool>
  readonly members: Members
  /** The last sequence number on subject `meta`. */
  readonly metaLast: Seq
  /** In the order of the log. */
  readonly messages: readonly MessageState[]
  /** Unfinished runs; the first is due or running. */
  readonly open: readonly RunRecord[]
  readonly ended: ReadonlyMap<string, RunRecord>
  /** What the recent commands did, oldest first. */
  readonly commands: readonly CommandRecord[]
  /** It is over, for everybody. */
  readonly deleted: Tombstone | undefined
}

export const EMPTY_SESSION: SessionState = {
  seq: 0,
  title: undefined,
  tools: new Map(),
  members: NO_MEMBERS,
  metaLast: 0,
  messages: [],
  open: [],
  ended: new Map(),
  commands: [],
  deleted: undefined,
}

/** How many commands are remembered; those of `send` are known to the log for ever. */
export const COMMANDS_KEPT = 512

export function findRun(state: SessionState, run: string): RunRecord | undefined {
  return state.open.find((view) => view.id === run) ?? state.ended.get(run)
}

/** The run that is active: started, or next to be. */
export function activeRun(state: SessionState): RunRecord | undefined {
  return state.open.find(isActive)
}

/** The session's tool call of that id, and its run. */
export function findCall(state: SessionState, call: string): { run: RunRecord; call: CallState } | undefined {
  for (const run of state.open) {
    const found = run.calls.get(call)
    if (found !== undefined) return { run, call: found }
  }
  for (const run of state.ended.values()) {
    const found = run.calls.get(call)
    if (found !== undefined) return { run, call: found }
  }
  return undefined
}

/** What an earlier command with this id did. */
export function findCommand(state: SessionState, id: string): CommandRecord | undefined {
  return state.commands.findLast((command) => command.id === id)
}

/** The run that answers a steering message which came too late for the run it was sent to. */
export function lateSteerRun(message: string): string {
  return `steer_${message}`.slice(0, 128)
}

/** A run that is over but for its `run.ended`, and what that has to say. */
export interface Overdue {
  readonly run: RunRecord
  readonly end: Pick<RunEnded, 'reason' | 'by' | 'error' | 'command' | 'seen'>
}

/** Ends that the log already implies and that nobody has appended yet. Anybody may. */
export function overdue(state: SessionState): readonly Overdue[] {
  return state.open.flatMap((run): Overdue[] => {
    if (run.rejected) {
      const error = { code: 'run_active' as const, message: 'Another run was active first.' }
      return [{ run, end: { reason: 'failed', error } }]
    }
    if (run.supersededBy === undefined) return []
    const message = state.messages.find((candidate) => candidate.event.id === run.supersededBy)?.event
    const seen = message?.seen?.run === run.id ? { seen: message.seen } : {}
    return [{ run, end: { reason: 'superseded', by: message?.author ?? 'server', command: run.supersededBy, ...seen } }]
  })
}
