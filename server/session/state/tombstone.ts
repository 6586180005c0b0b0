// Tombstone: the state of a deleted session. Pure. The order of the log decides: an entry after the deletion has no
// effect, even if its writer did not know of the deletion. The state only remembers that such entries exist and must be
// purged.
import type { Event, RunEnded, SessionDeleted } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import { NO_MEMBERS } from './members.ts'
import type { RunRecord } from './run-record.ts'
import type { SessionState, Tombstone } from './session-state.ts'

/** Whether the entry deletes its session. It checks the subject first, so outputs of runs are not parsed for it. */
export function isDeletion(entry: { readonly subject: string; readonly event: Event }): boolean {
  return entry.subject === 'meta' && entry.event.type === 'session.deleted'
}

/** Drops all content from memory, and ends the open runs so that their drivers stop. */
export function applyDeletion(state: SessionState, seq: Seq, time: number, event: SessionDeleted): SessionState {
  const { by, command } = event
  return {
    seq,
    title: undefined,
    tools: new Map(),
    deletedResponses: new Set(),
    members: NO_MEMBERS,
    lastMetaSeq: seq,
    messages: [],
    open: [],
    children: [],
    ended: new Map([...state.open, ...state.children].map((run) => [run.id, cancelled(run, time, by)])),
    commands: [],
    deleted: { seq, time, by, command, hasLateEntries: false },
  }
}

/** Ignores an entry after the deletion, except that it must be purged. */
export function applyAfterDeletion(state: SessionState, deleted: Tombstone, seq: Seq): SessionState {
  return { ...state, seq, deleted: deleted.hasLateEntries ? deleted : { ...deleted, hasLateEntries: true } }
}

function cancelled(run: RunRecord, time: number, by: string): RunRecord {
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
