// Purging a session from the embedded log: its chunks, what is remembered of its subjects, and what of it is not settled yet.
// The entry that stays gets a chunk that stands for the whole: its key is the session's last number, so that after a crash
// the journal's records of the session count as settled, and do not come back.
import type { Entry, Seq } from '../ports/entry.ts'
import { META } from '../ports/session-log.ts'
import { type Step, settle } from './checkpoint.ts'
import { lastOf } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import { firstAfter } from './memtable.ts'
import { decodeChunk, encodeChunk } from './record.ts'
import { LAST } from './tables.ts'

/** Subjects, and chunks, that one step removes. */
const STEP_SUBJECTS = 512
const STEP_CHUNKS = 32
/** Sorts after every name. */
const LAST_NAME = '\u{10ffff}'

/** @param keep the number of the entry that stays */
export function* purgeBut(state: LogState, session: string, keep: Seq): Generator<Step, void> {
  yield* removeSubjects(state, session, keep)
  const kept = find(state, session, keep)
  // Without it the session was purged as a whole already.
  if (kept !== undefined) yield leave(state, session, kept)
  yield* removeChunks(state, session, kept === undefined ? 0 : lastChunkOf(state, session))
}

/**
 * @param dropped told that the journal is not needed up to a number: it is settled first, as nothing would say any more that
 *   what it holds of the session is gone
 */
export function* purgeAll(state: LogState, session: string, dropped: (to: Seq) => void): Generator<Step, void> {
  yield* settle(state, state.last, dropped)
  yield* removeSubjects(state, session, 0)
  yield* removeChunks(state, session, 0)
  yield {
    write() {
      state.tables.trimmed.remove(session)
    },
    done() {
      drop(state, session, lastOf(state, session))
    },
  }
}

function find(state: LogState, session: string, keep: Seq): Entry | undefined {
  const tail = state.overlay.tail(session)
  const unsettled = tail?.entries[firstAfter(tail.entries, keep - 1)]
  if (unsettled?.seq === keep) return unsettled
  for (const { value } of state.tables.chunks.range([session, keep], [session, LAST], { limit: 1 })) {
    return decodeChunk(value).find(({ seq }) => seq === keep)
  }
  return undefined
}

function leave(state: LogState, session: string, kept: Entry): Step {
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
      drop(state, session, to)
    },
  }
}

function lastChunkOf(state: LogState, session: string): Seq {
  for (const { key } of state.tables.chunks.range([session, LAST], [session, 0], { reverse: true, limit: 1 })) {
    return key[1]
  }
  return 0
}

/** @param before chunks from this key on stay; 0: none does */
function* removeChunks(state: LogState, session: string, before: Seq): Generator<Step, void> {
  const { tables } = state
  for (;;) {
    const end: [string, Seq] = [session, before === 0 ? LAST : before]
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

/** @param keep when there is an entry that stays, its subject stays known */
function* removeSubjects(state: LogState, session: string, keep: Seq): Generator<Step, void> {
  const { subjects } = state.tables
  for (let from = ''; ; ) {
    const rows = [...subjects.range([session, from], [session, LAST_NAME], { limit: STEP_SUBJECTS })]
    const last = rows.at(-1)
    if (last === undefined) return
    const gone = rows.filter(({ key }) => keep === 0 || key[1] !== META)
    yield {
      write() {
        for (const { key } of gone) subjects.remove(key)
      },
      done() {
        // Nothing of it is in memory: a lane that is goes with the session's entries.
      },
    }
    from = `${last.key[1]}\u0000`
  }
}

function drop(state: LogState, session: string, to: Seq): void {
  const tail = state.overlay.tail(session)
  if (tail !== undefined) state.overlay.purged(tail, to)
}
