// LogState: what the log holds in memory of its data folder, shared by its reading, settling and sweeping.
import { join } from 'node:path'
import type { Seq } from '../ports/entry.ts'
import type { LmdbEnvironment } from './environment.ts'
import { Journal } from './journal/journal.ts'
import type { JournalRecord } from './journal/journal-record.ts'
import { Memtable } from './memtable.ts'
import { decodeGroup } from './record.ts'
import { lastChunk, type Tables } from './tables.ts'

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
  readonly overlay: Memtable
  readonly groups: Group[]
  last: Seq
  journalBytes: number
  chunkBytes: number
}

export interface StateOptions {
  /** The data folder. */
  readonly path: string
  /** Bytes of one file of the journal; default 4 MB. */
  readonly segmentBytes?: number
  /** Told when the journal is broken. */
  readonly broken?: ((error: Error) => void) | undefined
}

const SEGMENT_BYTES = 4 * 1024 * 1024

/** Where the journal's files lie. */
export function journalFolder(path: string): string {
  return join(path, 'journal')
}

/**
 * Reads the tables and the journal: what was acknowledged before a stop or a crash is there again.
 * @throws Error when the journal is damaged, or was there and is not any more
 */
export async function openState(
  environment: LmdbEnvironment,
  tables: Tables,
  { path, segmentBytes = SEGMENT_BYTES, broken }: StateOptions,
): Promise<{ state: LogState; journal: Journal }> {
  const { meta } = tables
  const folder = journalFolder(path)
  const isKnown = meta.get('journal') === 1
  if (isKnown && !Journal.exists(folder)) throw new Error(`the journal ${folder} is missing`)
  const state: LogState = {
    tables,
    overlay: new Memtable(),
    groups: [],
    last: Number(meta.get('settled') ?? 0),
    journalBytes: 0,
    chunkBytes: Number(meta.get('bytes') ?? 0),
  }
  const journal = await Journal.open({ folder, segmentBytes, broken }, state.last, replayInto(state))
  if (!isKnown) await environment.write(() => meta.put('journal', 1))
  return { state, journal }
}

function replayInto(state: LogState): (record: JournalRecord) => void {
  // A crash between two steps of settling leaves entries in the journal that are settled: those up to the session's
  // last chunk, or up to where it was trimmed.
  const settledTo = new Map<string, Seq>()
  const at = performance.now()
  return ({ first, last, payload }) => {
    for (const { session, entry } of decodeGroup(first, payload)) {
      let settled = settledTo.get(session)
      if (settled === undefined) {
        settled = Math.max(lastChunk(state.tables, session), trimmedTo(state, session))
        settledTo.set(session, settled)
      }
      if (entry.seq <= settled) continue
      const tail = state.overlay.tailOf(session)
      const lane = state.overlay.laneOf(tail, entry.subject, () => 0)
      state.overlay.add(tail, lane, entry)
    }
    state.groups.push({ first, last, bytes: payload.length, at })
    state.journalBytes += payload.length
    state.last = last
  }
}

/** The last sequence number that retention took from the session; 0: none. */
export function trimmedTo(state: LogState, session: string): Seq {
  return state.tables.trimmed.get(session) ?? 0
}
