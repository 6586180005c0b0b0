// The tables of a data folder, and what their keys and values mean. Every entry lies in the journal (a file beside
// them), in a chunk, or (between two steps of settling) in both; what was settled of a session is a prefix of it.
import type { Seq } from '../ports/entry.ts'
import type { LmdbEnvironment, Table } from './environment.ts'

/** Sorts after every sequence number. */
export const LAST = Number.MAX_SAFE_INTEGER

export interface Tables {
  /** Session, and the last sequence number that the chunk had when it was made → settled entries. */
  readonly chunks: Table<[string, Seq], Buffer>
  /** That last sequence number → session: all chunks, oldest first. */
  readonly ages: Table<Seq, string>
  /** Session, subject → its last settled sequence number. Never removed: commands stay idempotent for ever. */
  readonly subjects: Table<[string, string], Seq>
  /** Session → the last sequence number that retention took away. Absent: none. */
  readonly trimmed: Table<string, Seq>
  /** `format`, `epoch`, `past-epochs`, `copied` (by `backUp`, and not used since), `settled` (the journal is not needed up to there), `journal` (1: there is one), `bytes` (of all chunks). */
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

/** The key of the last chunk of a session; 0 when it has none. */
export function lastChunk(tables: Tables, session: string): Seq {
  for (const { key } of tables.chunks.range([session, LAST], [session, 0], {
    reverse: true,
    limit: 1,
  }))
    return key[1]
  return 0
}
