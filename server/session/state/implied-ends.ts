// ImpliedEnds: the runs that have ended although the log has no `run.ended` of them yet. Pure.
import type { RunEnded } from '@parley/protocol'
import { impliedChildEnd, isChild, unfinishedRuns } from './child-runs.ts'
import type { RunRecord } from './run-record.ts'
import type { SessionState } from './session-state.ts'

/** A run that has ended by implication, and the content of the `run.ended` that is still missing. */
export interface ImpliedEnd {
  readonly run: RunRecord
  readonly end: Pick<RunEnded, 'reason' | 'by' | 'error' | 'command' | 'seen'>
}

/** The ends that the log implies but does not contain yet. Any node may append them. */
export function impliedEnds(state: SessionState): readonly ImpliedEnd[] {
  return unfinishedRuns(state).flatMap((run): ImpliedEnd[] => {
    if (isChild(run)) {
      const end = impliedChildEnd(state, run)
      return end === undefined ? [] : [{ run, end }]
    }
    if (run.rejected) {
      const error = { code: 'run_active' as const, message: 'Another run was already active.' }
      return [{ run, end: { reason: 'failed', error } }]
    }
    if (run.supersededBy === undefined) return []
    const message = state.messages.find((candidate) => candidate.event.id === run.supersededBy)?.event
    const seen = message?.seen?.run === run.id ? { seen: message.seen } : {}
    return [{ run, end: { reason: 'superseded', by: message?.author ?? 'server', command: run.supersededBy, ...seen } }]
  })
}
