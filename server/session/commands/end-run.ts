// endRun: ends a run from outside. Anybody may; the compare on the run's subject makes one of them win,
// and makes `next` exact: between the state that was looked at and the end there is no further output.
import type { RunEnded, Usage } from '@parley/protocol'
import type { Entry } from '../../store/ports/entry.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { SessionReplica } from '../session-replica.ts'
import { markUnseen, toParts } from '../state/run-output.ts'
import type { RunRecord } from '../state/run-record.ts'
import { findRun, overdue, type SessionState } from '../state/session-state.ts'
import { compareAndAppend, type Proposal } from './compare-and-append.ts'

export type RunEnd = Pick<RunEnded, 'reason' | 'by' | 'error' | 'command' | 'seen'>

/**
 * The event carries no output: whoever ends a run from outside need not hold it (`compactRun` adds it).
 * @returns the entry, or undefined when the run had ended before (or is unknown)
 */
export async function endRun(
  log: SessionLog,
  session: SessionReplica,
  run: string,
  end: RunEnd,
): Promise<Entry | undefined> {
  const propose = (state: SessionState): Proposal | undefined => {
    const view = findRun(state, run)
    if (view === undefined || view.phase === 'ended') return undefined
    const event: RunEnded = {
      type: 'run.ended',
      run,
      ...startedAs(view),
      ...end,
      usage: { inputTokens: 0, outputTokens: 0 },
      next: view.next,
    }
    return { subject: `run.${run}`, event, expect: view.last }
  }
  return session.whileEnding(run, (contended) => compareAndAppend(log, session, propose, contended))
}

/**
 * Gives the end of a run its output, and rolls up what came before: for ends that came from outside.
 * Says the same as the first end; `usage` may now be known.
 */
export async function compactRun(
  log: SessionLog,
  session: SessionReplica,
  run: string,
  usage?: Usage,
): Promise<Entry | undefined> {
  return compareAndAppend(log, session, (state) => {
    const view = findRun(state, run)
    if (view?.ended === undefined || view.ended.output !== undefined || view.ended.compacted === true) return undefined
    if (view.output === undefined) return undefined
    const parts = toParts(view.output)
    const output = view.seen === undefined ? parts : markUnseen(parts, view.seen)
    const event: RunEnded = { ...view.ended, usage: usage ?? view.ended.usage, output, compacted: true, at: view.last }
    return { subject: `run.${run}`, event, expect: view.last, rollup: true }
  })
}

/** Appends the ends that the log implies and that nobody appended yet, oldest first. */
export async function endWatch(log: SessionLog, session: SessionReplica): Promise<void> {
  for (const { run, end } of overdue(session.state)) await endRun(log, session, run.id, end)
}

/** What `run.started` said: a roll-up takes that away. */
export function startedAs({ epoch, model, message, owner, startedAt }: StartOf<RunRecord>): StartOf<RunEnded> {
  if (epoch === 0) return { message }
  return {
    epoch,
    ...(model === undefined ? {} : { model }),
    message,
    ...(owner === undefined ? {} : { owner }),
    ...(startedAt === undefined ? {} : { startedAt }),
  }
}

type StartOf<T extends RunRecord | RunEnded> = Pick<T, 'epoch' | 'model' | 'message' | 'owner' | 'startedAt'>
