// SessionDirectory: which sessions each user is in, with the newest activity first. A port; derived from the logs and never the
// truth: what is missing or stale here is noted anew by whoever comes to the session next, and nobody is let in by it.
import { createHash } from 'node:crypto'
import type { Seq } from './entry.ts'

/** What somebody who has folded a session up to an entry says of it. */
export interface SessionNote {
  readonly session: string
  /** Up to which entry: where two differ, the one that has seen more is right. */
  readonly seq: Seq
  readonly title: string | undefined
  /** Unix milliseconds; the earliest that was ever noted stays. */
  readonly createdAt: number
  /** Unix milliseconds of the newest activity; the latest that was ever noted stays. */
  readonly updatedAt: number
  /** Roles by user; undefined: a member no more. Who is not named stays as noted before. */
  readonly members: ReadonlyMap<string, string | undefined>
}

export interface ListedSession {
  readonly session: string
  readonly role: string
  readonly title?: string
  readonly createdAt: number
  readonly updatedAt: number
}

/** After which one a page begins. */
export type ListPlace = Pick<ListedSession, 'updatedAt' | 'session'>

export interface SessionDirectory {
  /** Idempotent, and in any order: an older note takes nothing back. @throws StorageError */
  note(note: SessionNote): Promise<void>
  /** The user's sessions, the newest activity first (of equal ones the greater id), at most so many. @throws StorageError */
  list(user: string, limit: number, before?: ListPlace): Promise<readonly ListedSession[]>
  /** Takes the session out of everybody's list. Idempotent. @throws StorageError */
  forget(session: string): Promise<void>
}

/** A user's id as a part of a key: users are called whatever their tokens say. */
export function userKey(user: string): string {
  return createHash('sha256').update(user).digest('base64url')
}

/** Whether `a` comes before `b` in a list. */
export function isBefore(a: ListPlace, b: ListPlace): boolean {
  return a.updatedAt === b.updatedAt ? a.session > b.session : a.updatedAt > b.updatedAt
}
