// DeletionList: a port that lists the sessions whose deletion has begun. A deletion is listed before its
// `session.deleted` entry is appended, so another node can finish the purge if this one dies. A listed session without
// that entry was not deleted.
//
//   begun ──(purged)──► purged ──(purged again, when no append can be in flight)──► kept ──(retention)──► removed

export const STAGES = ['begun', 'purged', 'kept'] as const
export type Stage = (typeof STAGES)[number]

export interface Deletion {
  readonly session: string
  /** When the deletion began: Unix milliseconds. Part of the row's key, so pass the same value in every call. */
  readonly at: number
}

/**
 * A deletion may be in several stages at once: a caller puts it into the next stage before it removes it from the last
 * one.
 */
export interface DeletionList {
  /** Adds the deletion to a stage. Idempotent. Resolves when this is durable. @throws StorageError */
  put(deletion: Deletion, stage: Stage): Promise<void>
  /** Removes the deletion from a stage. Idempotent. @throws StorageError */
  remove(deletion: Deletion, stage: Stage): Promise<void>
  /** @returns up to `limit` deletions of a stage, the oldest first. @throws StorageError */
  list(stage: Stage, limit: number): Promise<readonly Deletion[]>
}
