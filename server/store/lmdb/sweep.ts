// Sweeping: retention over the chunks, oldest first. It takes away only what a transcript covers, always a prefix of
// a session, and writes down how far in the same transaction, so that a cursor before it is known to be lost.
import type { Entry, Seq } from '../ports/entry.ts'
import type { Retention } from '../ports/session-log.ts'
import { type Step, settle } from './checkpoint.ts'
import type { LogState } from './log-state.ts'
import { lives } from './memtable.ts'
import { decodeChunk, encodeChunk } from './record.ts'

export interface SweepOptions {
  readonly retention: Retention
  /** Unix milliseconds. */
  readonly now: number
  /** How far the session's transcript goes, in this log's epoch; 0 when it has none. */
  readonly covered: (session: string) => Seq
  /** Entries of the session should go, but no transcript covers them. */
  readonly uncovered: (session: string) => void
  /** The journal is not needed up to a number. */
  readonly dropped: (to: Seq) => void
  /** The bound on bytes is passed, and nothing more may go. */
  readonly stuck: (bytes: number) => void
}

const STEP_CHUNKS = 64
/** A chunk's entries are at most this far apart in time: chunks that end so much later are all young. */
const SPAN_MS = 10 * 60_000

export function* sweep(state: LogState, options: SweepOptions): Generator<Step, void> {
  const cutoff = options.now - options.retention.maxAgeMs
  if (hasOld(state, cutoff) || size(state) > options.retention.maxBytes)
    yield* settle(state, state.last, options.dropped)
  let from: Seq = 0
  for (;;) {
    const plan = planTrim(state, options, cutoff, from)
    if (plan.step !== undefined) yield plan.step
    if (plan.end) break
    from = plan.next
  }
  if (size(state) > options.retention.maxBytes) options.stuck(size(state))
}

function size(state: LogState): number {
  return state.chunkBytes + state.journalBytes
}

function hasOld(state: LogState, cutoff: number): boolean {
  for (const tail of state.overlay.tails()) {
    if ((tail.entries[0]?.time ?? cutoff) < cutoff) return true
  }
  return false
}

interface Plan {
  readonly step: Step | undefined
  readonly next: Seq
  readonly end: boolean
}

interface Trim {
  readonly session: string
  readonly key: Seq
  readonly left: Buffer | undefined
  /** 0: nobody misses what goes. */
  readonly trimmed: Seq
}

function planTrim(state: LogState, options: SweepOptions, cutoff: number, from: Seq): Plan {
  const { tables } = state
  const covered = new Map<string, Seq>()
  const trims: Trim[] = []
  let chunkBytes = state.chunkBytes
  let next = from
  let seen = 0
  let end = true
  for (const { key, value: session } of tables.ages.range(from, undefined, {
    limit: STEP_CHUNKS,
  })) {
    seen++
    next = key + 1
    const bytes = tables.chunks.get([session, key])
    if (bytes === undefined) continue
    const entries = decodeChunk(bytes)
    const over = chunkBytes + state.journalBytes > options.retention.maxBytes
    if (!over && (entries.at(-1) as Entry).time >= cutoff + SPAN_MS)
      return { step: step(state, trims, chunkBytes), next, end }
    let cover = covered.get(session)
    if (cover === undefined) {
      cover = options.covered(session)
      covered.set(session, cover)
    }
    const kept = entries.findIndex((entry) => entry.seq > (cover as Seq) || (!over && entry.time >= cutoff))
    const first = entries[kept]
    if (first !== undefined && first.seq > cover && (over || first.time < cutoff)) options.uncovered(session)
    if (kept === 0) continue
    const left = kept === -1 ? undefined : encodeChunk(entries.slice(kept))
    chunkBytes -= bytes.length - (left?.length ?? 0)
    trims.push({
      session,
      key,
      left,
      trimmed: lastLiving(state, session, kept === -1 ? entries : entries.slice(0, kept)),
    })
  }
  end = seen < STEP_CHUNKS
  return { step: step(state, trims, chunkBytes), next, end }
}

// What a roll-up in the overlay has replaced is no loss to a reader who did not have it.
function lastLiving(state: LogState, session: string, gone: readonly Entry[]): Seq {
  const tail = state.overlay.tail(session)
  return gone.findLast((entry) => lives(tail, entry))?.seq ?? 0
}

function step(state: LogState, trims: readonly Trim[], chunkBytes: number): Step | undefined {
  if (trims.length === 0) return undefined
  const { tables } = state
  return {
    write() {
      for (const { session, key, left, trimmed } of trims) {
        if (trimmed > 0) tables.trimmed.put(session, trimmed)
        if (left !== undefined) tables.chunks.put([session, key], left)
        else {
          tables.chunks.remove([session, key])
          tables.ages.remove(key)
        }
      }
      tables.meta.put('bytes', chunkBytes)
    },
    done() {
      state.chunkBytes = chunkBytes
    },
  }
}
