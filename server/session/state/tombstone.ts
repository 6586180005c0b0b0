// Deleted: what is left of a session's state once it was deleted. Pure. The log's order decides: what comes after the entry
// does not exist, whoever appended it without having seen it; that there is such an entry says only that it has to be purged.
import type { Event, RunEnded, SessionDeleted } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import { NO_MEMBERS } from './members.ts'
import type { RunRecord } from './run-record.ts'
import type { SessionState, Tombstone } from './session-state.ts'

/** Whether it ends its session. Costs nothing for what runs put out. */
export function isDeletion(entry: { readonly subject: string; readonly event: Event }): boolean {
  return entry.subject === 'meta' && entry.event.type === 'session.deleted'
}

/** Nothing of what was said is kept in memory; the runs that were open are over, so that their owners stop. */
export function deletedState(state: SessionState, seq: Seq, time: number, event: SessionDeleted): SessionState {
  const { by, command } = event
  return {
    seq,
    title: undefined,
    tools: new Map(),
    members: NO_MEMBERS,
    metaLast: seq,
    messages: [],
    open: [],
    ended: new Map(state.open.map((run) => [run.id, over(run, time, by)])),
    commands: [],
    deleted: { seq, time, by, command, late: false },
  }
}

/** As it was, with an entry that does not count. */
export function lateState(state: SessionState, deleted: Tombstone, seq: Seq): SessionState {
  return { ...state, seq, deleted: deleted.late ? deleted : { ...deleted, late: true } }
}

function over(run: RunRecord, time: number, by: string): RunRecord {
  const ended: RunEnded = {
    type: 'run.ended',
    run: run.id,
    reason: 'cancelled',
    by,
    usage: { inputTokens: 0, outputTokens: 0 },
    next: run.next,
    compacted: true,
  }
  const empty = { output: undefined, calls: new Map(), steers: [], supersededBy: undefined, rejected: false }
  return { ...run, ...empty, phase: 'ended', ended, endedAt: time }
}
