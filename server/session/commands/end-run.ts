// endRun: ends a run from outside its driver. The conditional append on the run's subject lets exactly one end win, and
// makes `next` exact: no output is between the state and the end.
import type { RunEnded, Usage } from '@parley/protocol'
import type { Entry } from '../../store/ports/entry.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import { catchUpTo } from '../catch-up.ts'
import type { SessionReplica } from '../session-replica.ts'
import { endWithParent, openChildren } from '../state/child-runs.ts'
import { impliedEnds } from '../state/implied-ends.ts'
import { markUnseen, toParts } from '../state/run-output.ts'
import type { RunRecord } from '../state/run-record.ts'
import { findRun, type SessionState } from '../state/session-state.ts'
import { compareAndAppend, type Proposal } from './compare-and-append.ts'

export type RunEnd = Pick<RunEnded, 'reason' | 'by' | 'error' | 'command' | 'seen'>

/**
 * Ends the run's children first, and then the run. The event has no output, because only the driver is sure to have it; `compactRun` adds it later.
 * @param confirm must resolve before the end is appended. Meanwhile the run's driver already yields its appends, so that
 *   the end wins its first compare.
 * @returns the entry, or undefined if the run is unknown or has already ended
 */
export async function endRun(
  log: SessionLog,
  session: SessionReplica,
  run: string,
  end: RunEnd,
  confirm?: () => Promise<void>,
): Promise<Entry | undefined> {
  let hasChildren = false
  const propose = (state: SessionState): Proposal | undefined => {
    const record = findRun(state, run)
    const isOpen = record !== undefined && record.phase !== 'ended'
    hasChildren = isOpen && openChildren(state, run).length > 0
    if (!isOpen || hasChildren) return undefined
    const event: RunEnded = {
      type: 'run.ended',
      run,
      ...startedAs(record),
      ...end,
      usage: { inputTokens: 0, outputTokens: 0 },
      next: record.next,
    }
    return { subject: `run.${run}`, event, expect: record.last }
  }
  return session.whileEnding(run, async (contended) => {
    if (confirm !== undefined) {
      contended()
      await confirm()
    }
    for (;;) {
      await endChildren(log, session, run, end, contended)
      const entry = await compareAndAppend(log, session, propose, contended)
      // The run asked another agent meanwhile. It may do so only a limited number of times.
      if (!hasChildren) return entry
    }
  })
}

/**
 * Ends the child runs of a run that is about to end, so that none of them says anything after it.
 * @param contended asks the run's driver to wait for the run's end
 */
export async function endChildren(
  log: SessionLog,
  session: SessionReplica,
  run: string,
  end?: Pick<RunEnd, 'reason' | 'by'>,
  contended: () => void = () => undefined,
): Promise<void> {
  const children = openChildren(session.state, run)
  if (children.length === 0) return
  contended()
  const ends = await Promise.all(children.map((child) => endRun(log, session, child.id, endWithParent(end))))
  await session.reached(Math.max(0, ...ends.map((entry) => entry?.seq ?? 0)))
}

/**
 * Compacts a run that was ended from outside: a new end with the output replaces all of its entries. It repeats the
 * first end, but `usage` may now be known.
 */
export async function compactRun(
  log: SessionLog,
  session: SessionReplica,
  run: string,
  usage?: Usage,
): Promise<Entry | undefined> {
  return compareAndAppend(log, session, (state) => {
    const record = findRun(state, run)
    if (record?.ended === undefined || record.ended.output !== undefined || record.ended.compacted === true)
      return undefined
    if (record.output === undefined) return undefined
    const parts = toParts(record.output)
    const output = record.seen === undefined ? parts : markUnseen(parts, record.seen)
    const event: RunEnded = {
      ...record.ended,
      usage: usage ?? record.ended.usage,
      output,
      compacted: true,
      at: record.last,
    }
    return { subject: `run.${run}`, event, expect: record.last, rollup: true }
  })
}

/** Appends the ends that the log implies but does not contain yet, oldest first. The state then includes them. */
export async function appendImpliedEnds(log: SessionLog, session: SessionReplica): Promise<void> {
  for (const { run, end } of impliedEnds(session.state)) {
    const entry = await endRun(log, session, run.id, end)
    if (entry !== undefined) await catchUpTo(session, entry.seq)
  }
}

/** The fields of `run.started`, which compaction removes. */
export function startedAs({
  epoch,
  model,
  message,
  owner,
  startedAt,
  parent,
  agent,
}: StartOf<RunRecord>): StartOf<RunEnded> {
  const who = { ...(parent === undefined ? {} : { parent }), ...(agent === undefined ? {} : { agent }) }
  if (epoch === 0) return { message, ...who }
  return {
    epoch,
    ...who,
    ...(model === undefined ? {} : { model }),
    message,
    ...(owner === undefined ? {} : { owner }),
    ...(startedAt === undefined ? {} : { startedAt }),
  }
}

type StartOf<T extends RunRecord | RunEnded> = Pick<
  T,
  'epoch' | 'model' | 'message' | 'owner' | 'startedAt' | 'parent' | 'agent'
>
