// Purges a session from the embedded log: its chunks, the last numbers of its subjects, and its entries in the
// memtable. The entry that stays gets a chunk whose key is the session's last sequence number. After a crash, the
// journal's records of the session then count as checkpointed, and the replay does not restore them.
import type { Entry, Seq } from '../ports/entry.ts'
import { META } from '../ports/session-log.ts'
import { checkpoint, type Step } from './checkpoint.ts'
import { lastOf } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import { firstAfter } from './memtable.ts'
import { decodeChunk, encodeChunk } from './record.ts'
import { lastChunk, MAX_NAME, MAX_NUMBER } from './tables.ts'

/** Subjects that one step removes. */
const STEP_SUBJECTS = 512
/** Chunks that one step removes. */
const STEP_CHUNKS = 32

/** Purges everything except one entry. @param keep the sequence number of that entry */
export function* purgeExcept(state: LogState, session: string, keep: Seq): Generator<Step, void> {
  yield* removeSubjects(state, session, keep)
  const kept = find(state, session, keep)
  // If the entry is missing, the whole session was purged before.
  if (kept !== undefined) yield keepEntry(state, session, kept)
  yield* removeChunks(state, session, kept === undefined ? 0 : lastChunk(state.tables, session))
}

/**
 * Purges everything. Checkpoints the journal first, because afterwards no chunk marks the session's records in it as
 * purged.
 * @param releaseJournal called when the journal is not needed up to a sequence number
 */
export function* purgeAll(state: LogState, session: string, releaseJournal: (to: Seq) => void): Generator<Step, void> {
  yield* checkpoint(state, state.last, releaseJournal)
  yield* removeSubjects(state, session, 0)
  yield* removeChunks(state, session, 0)
  yield {
    write() {
      state.tables.trimmed.remove(session)
    },
    done() {
      removeFromMemtable(state, session, lastOf(state, session))
    },
  }
}

function find(state: LogState, session: string, keep: Seq): Entry | undefined {
  const tail = state.memtable.tail(session)
  const entry = tail?.entries[firstAfter(tail.entries, keep - 1)]
  if (entry?.seq === keep) return entry
  for (const { value } of state.tables.chunks.range([session, keep], [session, MAX_NUMBER], { limit: 1 })) {
    return decodeChunk(value).find(({ seq }) => seq === keep)
  }
  return undefined
}

function keepEntry(state: LogState, session: string, kept: Entry): Step {
  const { tables } = state
  const to = lastOf(state, session)
  const chunk = encodeChunk([kept])
  const chunkBytes = state.chunkBytes + chunk.length - (tables.chunks.get([session, to])?.length ?? 0)
  return {
    write() {
      tables.chunks.put([session, to], chunk)
      tables.ages.put(to, session)
      tables.subjects.put([session, META], kept.seq)
      tables.meta.put('bytes', chunkBytes)
    },
    done() {
      state.chunkBytes = chunkBytes
      removeFromMemtable(state, session, to)
    },
  }
}

/** @param before removes only the chunks with a smaller key; 0: removes all */
function* removeChunks(state: LogState, session: string, before: Seq): Generator<Step, void> {
  const { tables } = state
  for (;;) {
    const end: [string, Seq] = [session, before === 0 ? MAX_NUMBER : before]
    const rows = [...tables.chunks.range([session, 0], end, { limit: STEP_CHUNKS })]
    if (rows.length === 0) return
    const chunkBytes = rows.reduce((sum, { value }) => sum - value.length, state.chunkBytes)
    yield {
      write() {
        for (const { key } of rows) {
          tables.chunks.remove(key)
          tables.ages.remove(key[1])
        }
        tables.meta.put('bytes', chunkBytes)
      },
      done() {
        state.chunkBytes = chunkBytes
      },
    }
  }
}

/** @param keep unless 0, subject `meta` keeps its last number */
function* removeSubjects(state: LogState, session: string, keep: Seq): Generator<Step, void> {
  const { subjects } = state.tables
  for (let from = ''; ; ) {
    const rows = [...subjects.range([session, from], [session, MAX_NAME], { limit: STEP_SUBJECTS })]
    const last = rows.at(-1)
    if (last === undefined) return
    const removed = rows.filter(({ key }) => keep === 0 || key[1] !== META)
    yield {
      write() {
        for (const { key } of removed) subjects.remove(key)
      },
      done() {
        // The memtable's subjects are removed together with the session's entries.
      },
    }
    from = `${last.key[1]}\u0000`
  }
}

function removeFromMemtable(state: LogState, session: string, to: Seq): void {
  const tail = state.memtable.tail(session)
  if (tail !== undefined) state.memtable.removePurged(tail, to)
}
