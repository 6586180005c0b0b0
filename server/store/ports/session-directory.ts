// SessionDirectory: a port with the list of sessions of each user. It is derived from the logs and never authoritative:
// nobody gets access because of it, and the next visit of a session repairs a missing or stale row.
import { createHash } from 'node:crypto'
import type { Seq } from './entry.ts'

/** What a replica of a session knows after it has applied the log up to entry `seq`. */
export interface SessionSummary {
  readonly session: string
  /** If two summaries differ, the one with the higher `seq` wins. */
  readonly seq: Seq
  readonly title: string | undefined
  /** Unix milliseconds. The directory keeps the earliest value that it received. */
  readonly createdAt: number
  /** Unix milliseconds of the newest activity. The directory keeps the latest value that it received. */
  readonly updatedAt: number
  /** Roles by user id. Undefined: no longer a member. Users without a row keep their last known role. */
  readonly members: ReadonlyMap<string, string | undefined>
}

export interface ListedSession {
  readonly session: string
  readonly role: string
  readonly title?: string
  readonly createdAt: number
  readonly updatedAt: number
}

/** A position in a user's list: that of its last session on the previous page. */
export type ListPosition = Pick<ListedSession, 'updatedAt' | 'session'>

export interface SessionDirectory {
  /** Merges a summary. Idempotent, and in any order: an older summary reverts nothing. @throws StorageError */
  update(summary: SessionSummary): Promise<void>
  /**
   * @param before lists only the sessions that come after this position
   * @returns up to `limit` of the user's sessions: newest activity first, and for equal times the greater id first
   * @throws StorageError
   */
  list(user: string, limit: number, before?: ListPosition): Promise<readonly ListedSession[]>
  /** Removes the session from the lists of all users. Idempotent. @throws StorageError */
  forget(session: string): Promise<void>
}

/** @returns a user's id as a part of a storage key: an access token's user id may contain any characters */
export function userKey(user: string): string {
  return createHash('sha256').update(user).digest('base64url')
}

/** Whether `a` comes before `b` in a list. */
export function isBefore(a: ListPosition, b: ListPosition): boolean {
  return a.updatedAt === b.updatedAt ? a.session > b.session : a.updatedAt > b.updatedAt
}
