// DeletionList: the sessions that are being deleted, and those that were. A port. It is written before the entry that deletes, so
// that somebody finishes the purge whatever happens to the node that began; a name without such an entry means nothing.
//
//   begun ──(purged)──► purged ──(purged again, once nobody can append any more)──► kept ──(retention)──► gone

export const STAGES = ['begun', 'purged', 'kept'] as const
export type Stage = (typeof STAGES)[number]

export interface Deletion {
  readonly session: string
  /** Unix milliseconds at which it was begun. */
  readonly at: number
}

export interface DeletionList {
  /** Begins a deletion, or moves it on. Idempotent. @throws StorageError */
  put(deletion: Deletion, stage: Stage): Promise<void>
  /** Takes it out of a stage. Idempotent. @throws StorageError */
  remove(deletion: Deletion, stage: Stage): Promise<void>
  /** Those of a stage, the oldest first, at most so many. @throws StorageError */
  list(stage: Stage, limit: number): Promise<readonly Deletion[]>
}
