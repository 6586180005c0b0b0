// catchUp: brings a session up to the tip of the log, as its leader knows it. This node may lag behind entries that
// another node has acknowledged, so it refuses nothing before it has read them.
import { type ErrorCode, parseCursor, ReplyError } from '@parley/protocol'
import type { Seq } from '../store/ports/entry.ts'
import type { SessionReplica, SessionStores } from './session-replica.ts'

/** The refusals that depend on the state of a session. */
const DECISIONS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'already_decided',
  'approval_not_needed',
  'approval_pending',
  'call_claimed',
  'call_ended',
  'call_not_claimed',
  'call_not_found',
  'command_id_reused',
  'forbidden',
  // A connection that roams may have declared the tool again at another node.
  'invalid_tool_input',
  'invalid_tool_output',
  'invite_invalid',
  'last_owner',
  'member_not_found',
  'no_active_run',
  'parent_not_found',
  'question_closed',
  'question_not_found',
  'queue_full',
  'run_active',
  'run_not_found',
  'session_not_found',
  // All declared tools together, or all deleted responses.
  'too_large',
  'too_many_members',
  'tool_not_declared',
])

/**
 * Waits until the session includes every current entry of the log.
 * @throws ReplyError `unavailable`, `session_deleted`
 */
export async function catchUp(stores: Pick<SessionStores, 'log'>, session: SessionReplica): Promise<void> {
  await catchUpTo(session, parseCursor(await stores.log.head(session.id))?.seq ?? 0)
  session.assertNotDeleted()
}

/** Waits until the session includes the entry. @throws ReplyError `unavailable` */
export async function catchUpTo(session: SessionReplica, seq: Seq): Promise<void> {
  try {
    await session.reached(seq)
  } catch (cause) {
    throw new ReplyError('unavailable', undefined, { cause })
  }
}

/**
 * Runs a command. If the command is refused, and the log has entries that this node did not know, it runs again.
 * @param command must be safe to repeat after a refusal
 */
export async function decideAtTip<T>(
  stores: Pick<SessionStores, 'log'>,
  session: SessionReplica,
  command: () => Promise<T>,
): Promise<T> {
  const { seq } = session.state
  try {
    return await command()
  } catch (error) {
    if (!(error instanceof ReplyError) || !DECISIONS.has(error.code)) throw error
    await catchUp(stores, session)
    if (session.state.seq === seq) throw error
    return command()
  }
}
