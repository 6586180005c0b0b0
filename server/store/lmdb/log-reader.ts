// Reads of the LMDB log: first the chunks, then the memtable, as one sequence; and the check whether a cursor is still
// valid. Each read is synchronous and sees only durable entries. An entry that is in a chunk and still in the memtable
// is read once.
import { type Cursor, parseCursor } from '@parley/protocol'
import { checkNames } from '../entry-names.ts'
import type { Entry, Seq } from '../ports/entry.ts'
import { CursorLost } from '../ports/errors.ts'
import type { ReadLimits } from '../ports/session-log.ts'
import { type LogState, trimmedTo } from './log-state.ts'
import { firstAfter, isLive } from './memtable.ts'
import { decodeChunk } from './record.ts'
import { lastChunk, MAX_NUMBER } from './tables.ts'

const BATCH_ENTRIES = 512
const BATCH_BYTES = 256 * 1024

export interface Batch {
  readonly entries: readonly Entry[]
  /** No entries follow it at the moment. */
  readonly end: boolean
}

/** The next live entries after `at`. */
export function readBatch(state: LogState, session: string, at: Seq, limits: ReadLimits = {}): Batch {
  const maxEntries = limits.batchEntries ?? BATCH_ENTRIES
  const maxBytes = limits.batchBytes ?? BATCH_BYTES
  const tail = state.memtable.tail(session)
  const entries: Entry[] = []
  let bytes = 0
  let checkpointed = at
  const take = (entry: Entry): boolean => {
    if (entries.length > 0 && (entries.length >= maxEntries || bytes + entry.length > maxBytes)) return false
    entries.push(entry)
    bytes += entry.length
    return true
  }
  for (const { key, value } of state.tables.chunks.range([session, at + 1], [session, MAX_NUMBER])) {
    checkpointed = key[1]
    for (const entry of decodeChunk(value)) {
      if (entry.seq > at && isLive(tail, entry) && !take(entry)) return { entries, end: false }
    }
  }
  if (tail !== undefined) {
    for (let i = firstAfter(tail.entries, checkpointed); i < tail.entries.length; i++) {
      const entry = tail.entries[i] as Entry
      if (isLive(tail, entry) && !take(entry)) return { entries, end: false }
    }
  }
  return { entries, end: true }
}

/** @returns the cursor's sequence number. @throws CursorLost */
export function locate(state: LogState, epoch: string, session: string, cursor: Cursor): Seq {
  checkNames(session)
  const position = parseCursor(cursor)
  if (position === undefined || position.epoch !== epoch) throw new CursorLost('foreign')
  if (position.seq > state.last) throw new CursorLost('beyond')
  checkTrimmed(state, session, position.seq)
  return position.seq
}

/** @throws CursorLost if retention has removed entries after `at` */
export function checkTrimmed(state: LogState, session: string, at: Seq): void {
  if (at < trimmedTo(state, session)) throw new CursorLost('trimmed')
}

/** The sequence number of the session's last durable entry, trimmed or not; 0: it never had one. */
export function lastOf(state: LogState, session: string): Seq {
  checkNames(session)
  const newest = state.memtable.tail(session)?.entries.at(-1)?.seq
  return newest ?? Math.max(lastChunk(state.tables, session), trimmedTo(state, session))
}
