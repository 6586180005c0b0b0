// The tables of a data folder, and the meaning of their keys and values. Every entry is in the journal (a file next to
// the tables), in a chunk, or, between two steps of a checkpoint, in both. The entries of a session that are in chunks
// are a prefix of its log.
import type { Seq } from '../ports/entry.ts'
import type { LmdbEnvironment, Table } from './environment.ts'

/** Sorts after every sequence number and time. */
export const MAX_NUMBER = Number.MAX_SAFE_INTEGER
/** Sorts after every name. */
export const MAX_NAME = '\u{10ffff}'

export interface Tables {
  /** Session, and the last sequence number of the chunk when it was created → the chunk's entries. */
  readonly chunks: Table<[string, Seq], Buffer>
  /** That last sequence number → session: an index of all chunks, the oldest first. */
  readonly ages: Table<Seq, string>
  /**
   * Session, subject → the subject's last sequence number in a chunk. Retention keeps it, so commands stay idempotent
   * for ever.
   */
  readonly subjects: Table<[string, string], Seq>
  /** Session → the last sequence number that retention has removed. Absent: none. */
  readonly trimmed: Table<string, Seq>
  /**
   * - `format`, `epoch`, `past-epochs`, `owner` (the socket of the process that uses the folder)
   * - `copied`: 1 in a backup that no server has opened yet
   * - `settled`: the journal is not needed up to this sequence number
   * - `journal`: 1 if the folder has a journal
   * - `segment`: the number of the newest file of the journal; 0: unknown
   * - `bytes`: of all chunks
   */
  readonly meta: Table<string, string | number>
}

export function openTables(environment: LmdbEnvironment): Tables {
  return {
    chunks: environment.bytes('chunks'),
    ages: environment.values('ages'),
    subjects: environment.values('subjects'),
    trimmed: environment.values('trimmed'),
    meta: environment.values('meta'),
  }
}

/** The key of the session's last chunk; 0 if it has no chunk. */
export function lastChunk(tables: Tables, session: string): Seq {
  for (const { key } of tables.chunks.range([session, MAX_NUMBER], [session, 0], { reverse: true, limit: 1 })) {
    return key[1]
  }
  return 0
}
