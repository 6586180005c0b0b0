// LogState: what the log holds in memory of its data folder, shared by its reading, settling and sweeping.
import type { Seq } from './entry.ts'
import { Overlay } from './lmdb-overlay.ts'
import { decodeGroup } from './lmdb-record.ts'
import { lastChunk, type Tables } from './lmdb-tables.ts'

/** A commit in the journal. */
export interface Group {
  readonly first: Seq
  readonly last: Seq
  readonly bytes: number
  /** By the monotonic clock, in milliseconds. */
  readonly at: number
}

/** What settling and sweeping share with the log. Bytes of all chunks, as stored. */
export interface LogState {
  readonly tables: Tables
  readonly overlay: Overlay
  readonly groups: Group[]
  last: Seq
  journalBytes: number
  chunkBytes: number
}

/** Reads the journal: what was acknowledged before a stop or a crash is there again. */
export function loadState(tables: Tables): LogState {
  const state: LogState = {
    tables,
    overlay: new Overlay(),
    groups: [],
    last: Number(tables.meta.get('seq') ?? 0),
    journalBytes: 0,
    chunkBytes: Number(tables.meta.get('bytes') ?? 0),
  }
  // A crash between two steps of settling leaves entries in the journal that are settled: those up to the session's
  // last chunk, or up to where it was trimmed.
  const settledTo = new Map<string, Seq>()
  const at = performance.now()
  for (const { key: first, value } of tables.journal.range(undefined, undefined)) {
    const placed = decodeGroup(first, value)
    for (const { session, entry } of placed) {
      let settled = settledTo.get(session)
      if (settled === undefined) {
        settled = Math.max(lastChunk(tables, session), trimmedTo(state, session))
        settledTo.set(session, settled)
      }
      if (entry.seq <= settled) continue
      const [tail, lane] = state.overlay.lane(session, entry.subject, () => 0)
      state.overlay.add(tail, lane, entry)
    }
    const last = first + placed.length - 1
    state.groups.push({ first, last, bytes: value.length, at })
    state.journalBytes += value.length
    state.last = Math.max(state.last, last)
  }
  return state
}

/** The last sequence number that retention took from the session; 0: none. */
export function trimmedTo(state: LogState, session: string): Seq {
  return state.tables.trimmed.get(session) ?? 0
}
