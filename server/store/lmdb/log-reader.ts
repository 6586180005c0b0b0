// Reading of the LMDB log: settled chunks, then the overlay, as one order; and whether a cursor can go on. Every read is
// synchronous and sees exactly what was shown before: what lies in a chunk and still in the overlay is read once.
import { type Cursor, parseCursor } from '@parley/protocol'
import type { Entry, Seq } from '../ports/entry.ts'
import { CursorLost } from '../ports/errors.ts'
import type { ReadLimits } from '../ports/session-log.ts'
import { type LogState, trimmedTo } from './log-state.ts'
import { firstAfter, lives } from './memtable.ts'
import { decodeChunk } from './record.ts'
import { LAST, lastChunk } from './tables.ts'

const BATCH_ENTRIES = 512
const BATCH_BYTES = 256 * 1024

export interface Batch {
  readonly entries: readonly Entry[]
  /** Nothing is after it now. */
  readonly end: boolean
}

/** The next living entries after `at`. */
export function readBatch(state: LogState, session: string, at: Seq, limits: ReadLimits = {}): Batch {
  const maxEntries = limits.batchEntries ?? BATCH_ENTRIES
  const maxBytes = limits.batchBytes ?? BATCH_BYTES
  const tail = state.overlay.tail(session)
  const entries: Entry[] = []
  let bytes = 0
  let settled = at
  const take = (entry: Entry): boolean => {
    if (entries.length > 0 && (entries.length >= maxEntries || bytes + entry.length > maxBytes)) return false
    entries.push(entry)
    bytes += entry.length
    return true
  }
  for (const { key, value } of state.tables.chunks.range([session, at + 1], [session, LAST])) {
    settled = key[1]
    for (const entry of decodeChunk(value)) {
      if (entry.seq > at && lives(tail, entry) && !take(entry)) return { entries, end: false }
    }
  }
  if (tail !== undefined) {
    for (let i = firstAfter(tail.entries, settled); i < tail.entries.length; i++) {
      const entry = tail.entries[i] as Entry
      if (lives(tail, entry) && !take(entry)) return { entries, end: false }
    }
  }
  return { entries, end: true }
}

/** @throws CursorLost */
export function locate(state: LogState, epoch: string, session: string, cursor: Cursor): Seq {
  const position = parseCursor(cursor)
  if (position === undefined || position.epoch !== epoch) throw new CursorLost('foreign')
  if (position.seq > state.last) throw new CursorLost('beyond')
  checkTrimmed(state, session, position.seq)
  return position.seq
}

/** @throws CursorLost when retention took something away after `at` */
export function checkTrimmed(state: LogState, session: string, at: Seq): void {
  if (at < trimmedTo(state, session)) throw new CursorLost('trimmed')
}

/** The session's last sequence number, of what was shown, trimmed or not; 0: it never had one. */
export function lastOf(state: LogState, session: string): Seq {
  const newest = state.overlay.tail(session)?.entries.at(-1)?.seq
  return newest ?? Math.max(lastChunk(state.tables, session), trimmedTo(state, session))
}
