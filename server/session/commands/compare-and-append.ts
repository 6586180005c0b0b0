// compareAndAppend: the one loop behind every change of a session. It looks at the state, proposes an
// event for a subject with the last sequence number that the state knows there, and on a conflict waits
// until the state has caught up with what won, and looks again. Bounded.
import { type Event, ReplyError } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { Conflict, StorageError } from '../../store/ports/errors.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { SessionReplica } from '../session-replica.ts'
import type { SessionState } from '../state/session-state.ts'

export interface Proposal {
  readonly subject: string
  readonly event: Event
  readonly expect: Seq
  readonly rollup?: boolean
}

const TRIES = 64
/** Milliseconds to wait until this node has read what another one appended. */
const CATCH_UP_MS = 5_000

/**
 * @param propose looks at the state and returns what to append, or undefined when nothing is left to
 *   do; may throw a ReplyError
 * @param lost told each time that somebody else's append came first
 * @returns the entry, or undefined when nothing was left to do
 * @throws ReplyError `session_deleted`, `contended`, `unavailable`, `storage_full`, and whatever `propose` throws
 */
export async function compareAndAppend(
  log: SessionLog,
  session: SessionReplica,
  propose: (state: SessionState) => Proposal | undefined,
  lost: () => void = () => undefined,
): Promise<Entry | undefined> {
  let winner: { readonly subject: string; readonly expect: Seq; readonly last: Seq } | undefined
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const proposal = propose(session.state)
    if (proposal === undefined) return undefined
    session.mustLive()
    const { subject, event, rollup = false } = proposal
    // A state that holds what won, and still names the same number, comes from a transcript: folding may have put one
    // entry in the place of a later one. What it says is right all the same.
    const isKnown = winner?.subject === subject && winner.expect === proposal.expect
    const expect: Seq = isKnown && winner !== undefined ? winner.last : proposal.expect
    try {
      return await log.append(session.id, subject, event, expect, { rollup })
    } catch (error) {
      if (!(error instanceof Conflict)) throw asReplyError(error)
      lost()
      await caughtUp(session, error.last)
      winner = { subject, expect: proposal.expect, last: error.last }
    }
  }
  throw new ReplyError('contended')
}

async function caughtUp(session: SessionReplica, seq: Seq): Promise<void> {
  try {
    await session.reached(seq, AbortSignal.timeout(CATCH_UP_MS))
  } catch (cause) {
    throw new ReplyError('unavailable', undefined, { cause })
  }
}

/** What a store refused, as the reply that a client gets. */
export function asReplyError(error: unknown): unknown {
  if (!(error instanceof StorageError)) return error
  return error.reason === 'full'
    ? new ReplyError('storage_full', undefined, { retryAfterMs: 5_000, cause: error })
    : new ReplyError('unavailable', undefined, { retryAfterMs: 1_000, cause: error })
}
