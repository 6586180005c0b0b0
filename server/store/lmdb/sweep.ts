// Sweep: applies retention to the chunks, the oldest first. It removes only entries that a transcript covers, always a
// prefix of a session, and stores in the same transaction how far it got, so that a cursor before that position is
// known to be lost.
import type { Entry, Seq } from '../ports/entry.ts'
import type { Retention } from '../ports/session-log.ts'
import { checkpoint, type Step } from './checkpoint.ts'
import type { LogState } from './log-state.ts'
import { isLive } from './memtable.ts'
import { decodeChunk, encodeChunk } from './record.ts'

export interface SweepOptions {
  readonly retention: Retention
  /** Unix milliseconds. */
  readonly now: number
  /** The last sequence number that the session's transcript covers, in this log's epoch; 0: no transcript. */
  readonly covered: (session: string) => Seq
  /** Called for a session with entries that should go but that no transcript covers. */
  readonly onUncovered: (session: string) => void
  /** Called when the journal is not needed up to a sequence number. */
  readonly releaseJournal: (to: Seq) => void
  /** Called if the log still exceeds its size limit because no more entries are covered. */
  readonly onOverLimit: (bytes: number) => void
}

const STEP_CHUNKS = 64
/**
 * The entries of a chunk are at most this far apart in time, so all entries of a chunk that ends this much later are
 * young.
 */
const SPAN_MS = 10 * 60_000

export function* sweep(state: LogState, options: SweepOptions): Generator<Step, void> {
  const cutoff = options.now - options.retention.maxAgeMs
  if (hasOld(state, cutoff) || size(state) > options.retention.maxBytes)
    yield* checkpoint(state, state.last, options.releaseJournal)
  let from: Seq = 0
  for (;;) {
    const plan = planTrim(state, options, cutoff, from)
    if (plan.step !== undefined) yield plan.step
    if (plan.end) break
    from = plan.next
  }
  if (size(state) > options.retention.maxBytes) options.onOverLimit(size(state))
}

function size(state: LogState): number {
  return state.chunkBytes + state.journalBytes
}

function hasOld(state: LogState, cutoff: number): boolean {
  for (const tail of state.memtable.tails()) {
    if ((tail.entries[0]?.time ?? cutoff) < cutoff) return true
  }
  return false
}

interface Plan {
  readonly step: Step | undefined
  /** The key in `ages` with which the next plan starts. */
  readonly next: Seq
  readonly end: boolean
}

/** Removes a prefix of one chunk. */
interface Trim {
  readonly session: string
  readonly key: Seq
  /** Undefined: remove the chunk. */
  readonly remaining: Buffer | undefined
  /** The last removed entry that a reader could miss; 0: none. */
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
  for (const { key, value: session } of tables.ages.range(from, undefined, { limit: STEP_CHUNKS })) {
    seen++
    next = key + 1
    const bytes = tables.chunks.get([session, key])
    if (bytes === undefined) continue
    const entries = decodeChunk(bytes)
    const isOverLimit = chunkBytes + state.journalBytes > options.retention.maxBytes
    if (!isOverLimit && (entries.at(-1) as Entry).time >= cutoff + SPAN_MS)
      return { step: trimStep(state, trims, chunkBytes), next, end }
    let cover = covered.get(session)
    if (cover === undefined) {
      cover = options.covered(session)
      covered.set(session, cover)
    }
    const kept = entries.findIndex((entry) => entry.seq > (cover as Seq) || (!isOverLimit && entry.time >= cutoff))
    const first = entries[kept]
    if (first !== undefined && first.seq > cover && (isOverLimit || first.time < cutoff)) options.onUncovered(session)
    if (kept === 0) continue
    const remaining = kept === -1 ? undefined : encodeChunk(entries.slice(kept))
    chunkBytes -= bytes.length - (remaining?.length ?? 0)
    trims.push({
      session,
      key,
      remaining,
      trimmed: lastLive(state, session, kept === -1 ? entries : entries.slice(0, kept)),
    })
  }
  end = seen < STEP_CHUNKS
  return { step: trimStep(state, trims, chunkBytes), next, end }
}

// A reader does not miss an entry that a rollup in the memtable has replaced.
function lastLive(state: LogState, session: string, removed: readonly Entry[]): Seq {
  const tail = state.memtable.tail(session)
  return removed.findLast((entry) => isLive(tail, entry))?.seq ?? 0
}

function trimStep(state: LogState, trims: readonly Trim[], chunkBytes: number): Step | undefined {
  if (trims.length === 0) return undefined
  const { tables } = state
  return {
    write() {
      for (const { session, key, remaining, trimmed } of trims) {
        if (trimmed > 0) tables.trimmed.put(session, trimmed)
        if (remaining !== undefined) tables.chunks.put([session, key], remaining)
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
