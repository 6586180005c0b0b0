// Settling: moves the oldest part of the overlay from the journal into chunks, one per session, so that a hundred
// small outputs cost one put, and what was rolled up meanwhile none. Per session always a whole prefix, in one
// transaction with the removal of what its roll-ups replaced. A crash between two steps leaves journal and
// chunks overlapping; the prefix rule tells then which journal entries are settled.
import type { Entry, Seq } from '../ports/entry.ts'
import type { LogState } from './log-state.ts'
import { lives, type Tail } from './memtable.ts'
import { decodeChunk, encodeChunk } from './record.ts'
import { LAST, type Tables } from './tables.ts'

/** A part of background work: `write` goes into a transaction, `done` follows when that is on disk. */
export interface Step {
  write(): void
  done(): void
}

const STEP_ENTRIES = 512
const STEP_BYTES = 1024 * 1024
const STEP_SESSIONS = 128
const CHUNK_BYTES = 64 * 1024

/**
 * Settles everything up to `cut`. Each step is computed when it is asked for, and done before the next is.
 * @param dropped told that the journal is not needed up to a number
 */
export function* settle(state: LogState, cut: Seq, dropped: (to: Seq) => void): Generator<Step, void> {
  const waiting: Tail[] = []
  for (const tail of state.overlay.tails()) {
    const first = tail.entries[0]
    if (first !== undefined && first.seq <= cut) waiting.push(tail)
  }
  while (waiting.length > 0) yield moveSome(state, waiting, cut)
  if ((state.groups[0]?.last ?? LAST) <= cut) yield dropGroups(state, cut, dropped)
}

/** Where to settle up to, so that half of the journal goes, and every commit from before `then`. */
export function halfway(state: LogState, then: number): Seq {
  let bytes = 0
  let cut = 0
  for (const group of state.groups) {
    if (bytes > state.journalBytes / 2 && group.at > then) break
    bytes += group.bytes
    cut = group.last
  }
  return cut
}

function moveSome(state: LogState, waiting: Tail[], cut: Seq): Step {
  const moves: Move[] = []
  let entries = 0
  let bytes = 0
  while (waiting.length > 0 && moves.length < STEP_SESSIONS && entries < STEP_ENTRIES && bytes < STEP_BYTES) {
    const tail = waiting[waiting.length - 1] as Tail
    const move = planMove(state.tables, tail, cut, STEP_ENTRIES - entries, STEP_BYTES - bytes)
    moves.push(move)
    entries += move.entries
    bytes += move.bytes
    if (move.whole) waiting.pop()
    else break
  }
  const chunkBytes = moves.reduce((sum, move) => sum + move.growth, state.chunkBytes)
  return {
    write() {
      for (const move of moves) move.write()
      state.tables.meta.put('bytes', chunkBytes)
    },
    done() {
      for (const move of moves) state.overlay.settled(move.tail, move.to)
      state.chunkBytes = chunkBytes
    },
  }
}

// Where the journal begins goes into the tables first; only then are its files used again.
function dropGroups(state: LogState, cut: Seq, dropped: (to: Seq) => void): Step {
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
      dropped(to)
    },
  }
}

interface Move {
  readonly tail: Tail
  readonly to: Seq
  /** Nothing up to the cut is left. */
  readonly whole: boolean
  readonly entries: number
  readonly bytes: number
  /** By how much the chunks grow. */
  readonly growth: number
  write(): void
}

function planMove(tables: Tables, tail: Tail, cut: Seq, maxEntries: number, maxBytes: number): Move {
  const moving: Entry[] = []
  let bytes = 0
  let to = 0
  let whole = true
  for (const entry of tail.entries) {
    if (entry.seq > cut) break
    if (moving.length > 0 && (moving.length >= maxEntries || bytes >= maxBytes)) {
      whole = false
      break
    }
    to = entry.seq
    if (!lives(tail, entry)) continue
    moving.push(entry)
    bytes += entry.length
  }
  const { session } = tail
  const rewritten = unlinkReplaced(tables, session, moving)
  const made = split(moving)
  const lasts = new Map<string, Seq>()
  for (const entry of moving) lasts.set(entry.subject, entry.seq)
  let growth = 0
  for (const { before, after } of rewritten.values()) growth += (after?.length ?? 0) - before
  for (const { chunk } of made) growth += chunk.length
  return {
    tail,
    to,
    whole,
    entries: moving.length,
    bytes,
    growth,
    write() {
      for (const [key, { after }] of rewritten) {
        if (after !== undefined) tables.chunks.put([session, key], after)
        else {
          tables.chunks.remove([session, key])
          tables.ages.remove(key)
        }
      }
      for (const { key, chunk } of made) {
        tables.chunks.put([session, key], chunk)
        tables.ages.put(key, session)
      }
      for (const [subject, seq] of lasts) tables.subjects.put([session, subject], seq)
    },
  }
}

function split(moving: readonly Entry[]): { key: Seq; chunk: Buffer }[] {
  const made: { key: Seq; chunk: Buffer }[] = []
  let part: Entry[] = []
  let bytes = 0
  for (const entry of moving) {
    if (part.length > 0 && bytes + entry.length > CHUNK_BYTES) {
      made.push({ key: (part.at(-1) as Entry).seq, chunk: encodeChunk(part) })
      part = []
      bytes = 0
    }
    part.push(entry)
    bytes += entry.length
  }
  if (part.length > 0) made.push({ key: (part.at(-1) as Entry).seq, chunk: encodeChunk(part) })
  return made
}

interface Rewritten {
  readonly before: number
  /** Undefined: nothing is left. */
  readonly after: Buffer | undefined
}

// The living entries of a subject are a chain by `prev`, from its last settled one back to a roll-up, to its
// first, or to where retention trimmed: a roll-up takes the whole chain away, chunk by chunk.
function unlinkReplaced(tables: Tables, session: string, moving: readonly Entry[]): Map<Seq, Rewritten> {
  const loaded = new Map<Seq, { before: number; entries: Entry[] }>()
  for (const rollup of moving) {
    if (!rollup.rollup) continue
    let at = tables.subjects.get([session, rollup.subject]) ?? 0
    while (at > 0) {
      const found = chunkAt(tables, session, at)
      if (found === undefined) break
      const chunk = loaded.get(found.key) ?? {
        before: found.bytes.length,
        entries: decodeChunk(found.bytes),
      }
      const replaced = chunk.entries.filter((entry) => entry.subject === rollup.subject)
      const oldest = replaced[0]
      if (oldest === undefined) break
      chunk.entries = chunk.entries.filter((entry) => entry.subject !== rollup.subject)
      loaded.set(found.key, chunk)
      at = oldest.rollup ? 0 : oldest.prev
    }
  }
  const rewritten = new Map<Seq, Rewritten>()
  for (const [key, { before, entries }] of loaded) {
    rewritten.set(key, {
      before,
      after: entries.length > 0 ? encodeChunk(entries) : undefined,
    })
  }
  return rewritten
}

function chunkAt(tables: Tables, session: string, seq: Seq): { key: Seq; bytes: Buffer } | undefined {
  for (const { key, value } of tables.chunks.range([session, seq], [session, LAST], { limit: 1 })) {
    return { key: key[1], bytes: value }
  }
  return undefined
}
