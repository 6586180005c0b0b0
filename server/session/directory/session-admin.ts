// SessionAdmin: lists a user's sessions and deletes sessions. A deletion takes effect with one append; afterwards this
// node or another one purges the data.
import { ReplyError } from '@parley/protocol'
import { CursorLost } from '../../store/ports/errors.ts'
import type { ListedSession, ListPosition } from '../../store/ports/session-directory.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import { decideAtTip } from '../catch-up.ts'
import type { Caller } from '../commands/caller.ts'
import { asReplyError, compareAndAppend } from '../commands/compare-and-append.ts'
import type { SessionCache } from '../session-cache.ts'
import type { SessionReplica } from '../session-replica.ts'
import { isAllowed } from '../state/members.ts'
import type { DirectoryService } from './directory-service.ts'
import type { Purger } from './purger.ts'

export interface SessionAdminOptions {
  readonly log: SessionLog
  readonly sessions: SessionCache
  readonly directory: DirectoryService
  readonly purger: Purger
  /** The server has no authentication: every client may do everything in every session. */
  readonly open: boolean
}

export class SessionAdmin {
  readonly #options: SessionAdminOptions

  constructor(options: SessionAdminOptions) {
    this.#options = options
  }

  /** The user's sessions, newest activity first. @throws ReplyError unavailable */
  async list(user: string, limit: number, before?: ListPosition): Promise<readonly ListedSession[]> {
    try {
      return await this.#options.directory.list(user, limit, before)
    } catch (error) {
      throw asReplyError(error)
    }
  }

  /**
   * Deletes the session for all members, and purges it. Idempotent by the command's id.
   * @throws ReplyError forbidden, session_not_found, session_deleted, contended, unavailable, storage_full
   */
  async delete(id: string, caller: Caller, command: string): Promise<void> {
    try {
      const lease = await this.#options.sessions.retain(id)
      try {
        const { session } = lease
        await decideAtTip(this.#options, session, () => this.#delete(session, caller, command))
      } finally {
        lease.release()
      }
    } catch (error) {
      if (error instanceof CursorLost || error instanceof DOMException) {
        throw new ReplyError('unavailable', undefined, { cause: error })
      }
      throw asReplyError(error)
    }
  }

  async #delete(session: SessionReplica, caller: Caller, command: string): Promise<void> {
    const { log, purger, directory } = this.#options
    if (isDeletedBy(session, command)) return
    this.#check(session, caller)
    const deletion = await purger.begin(session.id)
    let seq: number
    try {
      const entry = await compareAndAppend(log, session, (state) => {
        if (state.deleted?.command === command) return undefined
        session.assertNotDeleted()
        this.#check(session, caller)
        const event = { type: 'session.deleted' as const, by: caller.user, command }
        return { subject: 'meta', event, expect: state.lastMetaSeq, rollup: true }
      })
      seq = entry?.seq ?? session.state.deleted?.seq ?? 0
    } catch (error) {
      // After a retryable error, the deletion may be in the log. Then the purger checks the list later.
      const isRejected = error instanceof ReplyError && !error.retryable
      if (isRejected) await purger.cancel(deletion)
      throw error
    }
    directory.forget(session.id)
    await session.reached(seq)
    await purger.finish(deletion, seq)
  }

  /** @throws ReplyError session_deleted, session_not_found, forbidden */
  #check(session: SessionReplica, caller: Caller): void {
    session.assertNotDeleted()
    const { members, seq } = session.state
    if (seq === 0) throw new ReplyError('session_not_found')
    if (this.#options.open || isAllowed(members, caller, 'manage')) return
    throw new ReplyError('forbidden')
  }
}

/** Whether this command deleted the session, so that a retry succeeds. */
function isDeletedBy(session: SessionReplica, command: string): boolean {
  return session.state.deleted?.command === command
}
