// compareAndAppend: the optimistic loop behind every change of a session. It proposes an event from the state, and
// appends it if the subject's last sequence number is still the expected one. After a conflict, it waits until the
// state includes the winning entry, and proposes again. The number of attempts is limited.
import { type Event, ReplyError } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { Conflict, StorageError } from '../../store/ports/errors.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import { catchUp, catchUpTo } from '../catch-up.ts'
import type { SessionReplica } from '../session-replica.ts'
import type { SessionState } from '../state/session-state.ts'

export interface Proposal {
  readonly subject: string
  readonly event: Event
  readonly expect: Seq
  readonly rollup?: boolean
}

const MAX_ATTEMPTS = 64

/**
 * @param propose returns the event to append, or undefined if nothing needs to be appended; may throw a ReplyError
 * @param conflicted called after each conflict
 * @returns the entry, or undefined if nothing was appended
 * @throws ReplyError `session_deleted`, `contended`, `unavailable`, `storage_full`, and the errors of `propose`
 */
export async function compareAndAppend(
  log: SessionLog,
  session: SessionReplica,
  propose: (state: SessionState) => Proposal | undefined,
  conflicted: () => void = () => undefined,
): Promise<Entry | undefined> {
  let winner: { readonly subject: string; readonly expect: Seq; readonly last: Seq } | undefined
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const proposal = propose(session.state)
    if (proposal === undefined) return undefined
    session.assertNotDeleted()
    const { subject, event, rollup = false } = proposal
    // If the state includes the winner but still has the same number, the state is from a transcript: compaction may
    // keep an entry under an older sequence number. The content of the state is correct nevertheless.
    const isKnown = winner?.subject === subject && winner.expect === proposal.expect
    const expect: Seq = isKnown && winner !== undefined ? winner.last : proposal.expect
    try {
      return await log.append(session.id, subject, event, expect, { rollup })
    } catch (error) {
      if (!(error instanceof Conflict)) throw asReplyError(error)
      conflicted()
      await catchUpTo(session, error.last)
      winner = { subject, expect: proposal.expect, last: error.last }
    }
  }
  throw new ReplyError('contended')
}

/**
 * As `compareAndAppend`, for a command. If nothing needs to be appended, it reads up to the tip of the log and proposes
 * again: another node may just have changed what the command is about.
 */
export async function compareAndAppendAtTip(
  log: SessionLog,
  session: SessionReplica,
  propose: (state: SessionState) => Proposal | undefined,
): Promise<Entry | undefined> {
  const { seq } = session.state
  const entry = await compareAndAppend(log, session, propose)
  if (entry !== undefined) return entry
  await catchUp({ log }, session)
  return session.state.seq === seq ? undefined : compareAndAppend(log, session, propose)
}

/** Converts an error of a store to the reply for the client. */
export function asReplyError(error: unknown): unknown {
  if (!(error instanceof StorageError)) return error
  return error.reason === 'full'
    ? new ReplyError('storage_full', undefined, { retryAfterMs: 5_000, cause: error })
    : new ReplyError('unavailable', undefined, { retryAfterMs: 1_000, cause: error })
}
