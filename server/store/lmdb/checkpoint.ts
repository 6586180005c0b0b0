// Checkpoint: moves the oldest part of the memtable from the journal into chunks, one per session. A hundred small
// outputs then cost one put, and entries that a rollup has replaced meanwhile cost none. Each step moves a prefix of a
// session, and removes the entries that its rollups replaced, in one transaction. A crash between two steps leaves
// entries both in the journal and in chunks; because chunks contain a prefix of the session, the replay of the journal
// can tell which ones.
import type { Entry, Seq } from '../ports/entry.ts'
import type { LogState } from './log-state.ts'
import { isLive, type Tail } from './memtable.ts'
import { decodeChunk, encodeChunk } from './record.ts'
import { MAX_NUMBER, type Tables } from './tables.ts'

/** A part of background work: call `write` inside a transaction, and `done` when the transaction is on disk. */
export interface Step {
  write(): void
  done(): void
}

const STEP_ENTRIES = 512
const STEP_BYTES = 1024 * 1024
const STEP_SESSIONS = 128
const CHUNK_BYTES = 64 * 1024

/**
 * Moves everything up to `cut`. A step is planned when it is requested, so the step before must be done.
 * @param releaseJournal called when the journal is not needed up to a sequence number
 */
export function* checkpoint(state: LogState, cut: Seq, releaseJournal: (to: Seq) => void): Generator<Step, void> {
  const remaining: Tail[] = []
  for (const tail of state.memtable.tails()) {
    const first = tail.entries[0]
    if (first !== undefined && first.seq <= cut) remaining.push(tail)
  }
  while (remaining.length > 0) yield moveBatch(state, remaining, cut)
  if ((state.groups[0]?.last ?? MAX_NUMBER) <= cut) yield truncateJournal(state, cut, releaseJournal)
}

/**
 * The sequence number up to which a checkpoint frees half of the journal, and every commit from before `time`.
 * @param time by the monotonic clock, in milliseconds
 */
export function checkpointTarget(state: LogState, time: number): Seq {
  let bytes = 0
  let cut = 0
  for (const group of state.groups) {
    if (bytes > state.journalBytes / 2 && group.at > time) break
    bytes += group.bytes
    cut = group.last
  }
  return cut
}

function moveBatch(state: LogState, remaining: Tail[], cut: Seq): Step {
  const moves: Move[] = []
  let entries = 0
  let bytes = 0
  while (remaining.length > 0 && moves.length < STEP_SESSIONS && entries < STEP_ENTRIES && bytes < STEP_BYTES) {
    const tail = remaining[remaining.length - 1] as Tail
    const move = planMove(state.tables, tail, cut, STEP_ENTRIES - entries, STEP_BYTES - bytes)
    moves.push(move)
    entries += move.entries
    bytes += move.bytes
    if (move.isComplete) remaining.pop()
    else break
  }
  const chunkBytes = moves.reduce((sum, move) => sum + move.chunkGrowth, state.chunkBytes)
  return {
    write() {
      for (const move of moves) move.write()
      state.tables.meta.put('bytes', chunkBytes)
    },
    done() {
      for (const move of moves) state.memtable.removeCheckpointed(move.tail, move.to)
      state.chunkBytes = chunkBytes
    },
  }
}

// The tables must know where the journal begins before its files are reused.
function truncateJournal(state: LogState, cut: Seq, releaseJournal: (to: Seq) => void): Step {
  let count = 0
  let bytes = 0
  let to = 0
  for (const group of state.groups) {
    if (group.last > cut) break
    count++
    bytes += group.bytes
    to = group.last
  }
  return {
    write() {
      state.tables.meta.put('settled', to)
    },
    done() {
      state.groups.splice(0, count)
      state.journalBytes -= bytes
      releaseJournal(to)
    },
  }
}

/** Moves a prefix of one session's tail into chunks. */
interface Move {
  readonly tail: Tail
  readonly to: Seq
  /** Nothing up to the cut remains in the memtable. */
  readonly isComplete: boolean
  readonly entries: number
  readonly bytes: number
  /** Bytes by which the chunks grow; negative if rollups replaced more. */
  readonly chunkGrowth: number
  write(): void
}

function planMove(tables: Tables, tail: Tail, cut: Seq, maxEntries: number, maxBytes: number): Move {
  const moving: Entry[] = []
  let bytes = 0
  let to = 0
  let isComplete = true
  for (const entry of tail.entries) {
    if (entry.seq > cut) break
    if (moving.length > 0 && (moving.length >= maxEntries || bytes >= maxBytes)) {
      isComplete = false
      break
    }
    to = entry.seq
    if (!isLive(tail, entry)) continue
    moving.push(entry)
    bytes += entry.length
  }
  const { session } = tail
  const rewritten = removeReplaced(tables, session, moving)
  const created = createChunks(moving)
  const lasts = new Map<string, Seq>()
  for (const entry of moving) lasts.set(entry.subject, entry.seq)
  let chunkGrowth = 0
  for (const { before, after } of rewritten.values()) chunkGrowth += (after?.length ?? 0) - before
  for (const { chunk } of created) chunkGrowth += chunk.length
  return {
    tail,
    to,
    isComplete,
    entries: moving.length,
    bytes,
    chunkGrowth,
    write() {
      for (const [key, { after }] of rewritten) {
        if (after !== undefined) tables.chunks.put([session, key], after)
        else {
          tables.chunks.remove([session, key])
          tables.ages.remove(key)
        }
      }
      for (const { key, chunk } of created) {
        tables.chunks.put([session, key], chunk)
        tables.ages.put(key, session)
      }
      for (const [subject, seq] of lasts) tables.subjects.put([session, subject], seq)
    },
  }
}

function createChunks(moving: readonly Entry[]): { key: Seq; chunk: Buffer }[] {
  const created: { key: Seq; chunk: Buffer }[] = []
  let part: Entry[] = []
  let bytes = 0
  for (const entry of moving) {
    if (part.length > 0 && bytes + entry.length > CHUNK_BYTES) {
      created.push({ key: (part.at(-1) as Entry).seq, chunk: encodeChunk(part) })
      part = []
      bytes = 0
    }
    part.push(entry)
    bytes += entry.length
  }
  if (part.length > 0) created.push({ key: (part.at(-1) as Entry).seq, chunk: encodeChunk(part) })
  return created
}

interface RewrittenChunk {
  /** Bytes. */
  readonly before: number
  /** Undefined: the chunk is empty now. */
  readonly after: Buffer | undefined
}

// The live entries of a subject form a chain by `prev`: from the last one in a chunk back to a rollup, to the subject's
// first entry, or to where retention trimmed. A rollup removes the whole chain, chunk by chunk.
function removeReplaced(tables: Tables, session: string, moving: readonly Entry[]): Map<Seq, RewrittenChunk> {
  const loaded = new Map<Seq, { before: number; entries: Entry[] }>()
  for (const rollup of moving) {
    if (!rollup.rollup) continue
    let at = tables.subjects.get([session, rollup.subject]) ?? 0
    while (at > 0) {
      const found = chunkAt(tables, session, at)
      if (found === undefined) break
      const chunk = loaded.get(found.key) ?? { before: found.bytes.length, entries: decodeChunk(found.bytes) }
      const oldest = chunk.entries.find((entry) => entry.subject === rollup.subject)
      if (oldest === undefined) break
      chunk.entries = chunk.entries.filter((entry) => entry.subject !== rollup.subject)
      loaded.set(found.key, chunk)
      at = oldest.rollup ? 0 : oldest.prev
    }
  }
  const rewritten = new Map<Seq, RewrittenChunk>()
  for (const [key, { before, entries }] of loaded) {
    rewritten.set(key, { before, after: entries.length > 0 ? encodeChunk(entries) : undefined })
  }
  return rewritten
}

/** The session's chunk that contains `seq`, or, if that entry is gone, the next one. */
function chunkAt(tables: Tables, session: string, seq: Seq): { key: Seq; bytes: Buffer } | undefined {
  for (const { key, value } of tables.chunks.range([session, seq], [session, MAX_NUMBER], { limit: 1 })) {
    return { key: key[1], bytes: value }
  }
  return undefined
}
