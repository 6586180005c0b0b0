// cancel: ends a run for a client. Without `run`, it ends the one that is active: repeated meanwhile, over another
// connection or on another node, the command may find another one active, but it ends only one of them.
//
// A run counts as the active one only after all runs before it have ended in the log. So of two attempts that choose
// different runs, the later choice knows the end of the earlier choice: either this command ended it, and the later
// attempt finds that, or something else did, and the earlier attempt's append conflicts.
import { type Cancel, ReplyError } from '@parley/protocol'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { CommandRecord } from '../../store/ports/transcript-store.ts'
import { catchUp } from '../catch-up.ts'
import type { SessionReplica } from '../session-replica.ts'
import { isActive, type RunRecord } from '../state/run-record.ts'
import { activeRun, findCommand, findRun } from '../state/session-state.ts'
import { appendImpliedEnds, endRun } from './end-run.ts'

export interface Cancelled {
  readonly seq: number
  readonly run?: string
  readonly duplicate?: true
  readonly final: true
  /** This attempt of the command appended the end. */
  readonly appended?: true
}

/** Interrupting messages that may arrive while the ends of the runs before them are appended. */
const MAX_ATTEMPTS = 64

/**
 * @param by the user
 * @param confirm checks the user's role as of now
 * @throws ReplyError no_active_run, run_not_found, command_id_reused, contended, forbidden, unavailable, storage_full
 */
export async function cancel(
  log: SessionLog,
  session: SessionReplica,
  command: Cancel,
  by: string,
  confirm: () => Promise<void>,
): Promise<Cancelled> {
  let chosen: RunRecord | undefined
  for (let isAtTip = false; ; isAtTip = true) {
    if (command.run === undefined) await endInactiveRuns(log, session)
    const before = findCommand(session.state, command.id)
    if (before !== undefined) return repeated(before)
    const record = command.run === undefined ? activeRun(session.state) : findRun(session.state, command.run)
    chosen = record ?? chosen
    if (chosen === undefined) throw new ReplyError(command.run === undefined ? 'no_active_run' : 'run_not_found')
    const { id: run } = chosen
    const seen = command.seen?.run === run ? { seen: command.seen } : {}
    const end = { reason: 'cancelled' as const, by, command: command.id, ...seen }
    const entry = await endRun(log, session, run, end, confirm)
    if (entry !== undefined) return { seq: entry.seq, run, final: true, appended: true }
    if (isAtTip || command.run !== undefined) {
      const done = findCommand(session.state, command.id)
      if (done !== undefined) return repeated(done)
      return { seq: findRun(session.state, run)?.last ?? session.state.seq, run, final: true }
    }
    // The run had ended before this node knew. Unless this command ended it, another one may be active by now.
    await catchUp({ log }, session)
  }
}

/** Appends the ends that the log implies, until no open run has one. */
async function endInactiveRuns(log: SessionLog, session: SessionReplica): Promise<void> {
  for (let attempt = 0; session.state.open.some((run) => !isActive(run)); attempt += 1) {
    if (attempt === MAX_ATTEMPTS) throw new ReplyError('contended')
    await appendImpliedEnds(log, session)
  }
}

function repeated({ seq, run, message }: CommandRecord): Cancelled {
  if (message !== undefined) throw new ReplyError('command_id_reused')
  return { seq, ...(run === undefined ? {} : { run }), duplicate: true, final: true }
}
