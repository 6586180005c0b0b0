// Replay: the entries that a reader needs to catch up from its cursor: the log's tail or, if the cursor is missing or
// lost, the transcript and then the tail. It ends near the head; a reader joins the live feed when their positions are
// equal.
import { type Cursor, formatCursor, parseCursor, ReplyError } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { CursorLost } from '../../store/ports/errors.ts'
import type { ReadLimits } from '../../store/ports/session-log.ts'
import type { CompactedEntry } from '../../store/ports/transcript-store.ts'
import type { SessionStores } from '../session-replica.ts'
import { isDeletion } from '../state/tombstone.ts'
import { mergeOutputs, type ProjectedEntry } from './entry-projection.ts'

export interface ReplayBatch {
  readonly entries: readonly ProjectedEntry[]
  /** The reader's position after the batch. */
  readonly position: Seq
}

export interface Replay {
  /** The replay does not continue from the given cursor: the reader must drop its state. */
  readonly reset: boolean
  readonly batches: AsyncIterable<ReplayBatch>
}

export interface ReplayOptions extends ReadLimits {
  /** Merge adjacent outputs of one run. */
  readonly merge?: boolean
}

const MAX_ATTEMPTS = 5

/**
 * @param after the reader's cursor; undefined: the start of the session
 * @throws ReplyError `invalid_cursor`, `session_deleted`; iterating over `batches` may throw the latter too
 * @throws CursorLost while iterating over `batches`, if the log was trimmed past a slow reader, which must start a new
 * replay
 */
export async function replay(
  stores: SessionStores,
  session: string,
  after: Cursor | undefined,
  options: ReplayOptions = {},
): Promise<Replay> {
  if (after !== undefined) {
    const position = parseCursor(after)
    if (position === undefined) throw new ReplyError('invalid_cursor')
    const tail = await beginRead(stores, session, after, options)
    if (tail !== undefined) return { reset: false, batches: readTail(tail, position.seq, options) }
  }
  for (let attempt = 1; ; attempt += 1) {
    const transcript = await stores.transcripts.load(session)
    const from = transcript?.cursor ?? formatCursor(stores.log.epoch, 0)
    const tail = await beginRead(stores, session, from, options)
    if (tail !== undefined) {
      const seq = parseCursor(from)?.seq ?? 0
      const sealed = transcript?.sealed ?? 0
      return {
        reset: after !== undefined,
        batches: transcriptThenTail(stores, session, sealed, transcript?.entries ?? [], seq, tail, options),
      }
    }
    // Between the two reads, the log was trimmed because a newer transcript was saved: read that one.
    if (attempt === MAX_ATTEMPTS) throw new ReplyError('contended')
  }
}

type Batches = AsyncIterator<readonly Entry[]>
interface Tail {
  readonly first: IteratorResult<readonly Entry[]>
  readonly rest: Batches
}

/** @returns undefined if the cursor is lost */
async function beginRead(
  stores: SessionStores,
  session: string,
  after: Cursor,
  limits: ReadLimits,
): Promise<Tail | undefined> {
  const rest = stores.log.read(session, after, limits)[Symbol.asyncIterator]()
  try {
    const first = await rest.next()
    assertNotDeleted(first.value)
    return { first, rest }
  } catch (error) {
    if (error instanceof CursorLost) return undefined
    throw error
  }
}

/**
 * The replay checks this, because a server without authentication does not open the session first.
 * @throws ReplyError session_deleted
 */
function assertNotDeleted(entries: readonly Entry[] | undefined): void {
  if (entries?.some(isDeletion) === true) throw new ReplyError('session_deleted')
}

async function* transcriptThenTail(
  stores: SessionStores,
  session: string,
  sealed: number,
  entries: readonly CompactedEntry[],
  seq: Seq,
  tail: Tail,
  options: ReplayOptions,
): AsyncGenerator<ReplayBatch> {
  for (let number = 0; number < sealed; number += 1) {
    const segment = await stores.transcripts.segment(session, number)
    const last = segment?.at(-1)
    if (segment !== undefined && last !== undefined) yield { entries: segment, position: last.seq }
  }
  yield { entries, position: seq }
  yield* readTail(tail, seq, options)
}

async function* readTail(tail: Tail, from: Seq, options: ReplayOptions): AsyncGenerator<ReplayBatch> {
  let position = from
  try {
    for (let step = tail.first; step.done !== true; step = await tail.rest.next()) {
      const entries = step.value
      assertNotDeleted(entries)
      position = entries.at(-1)?.seq ?? position
      // In full, compacting entries too: a cursor does not show whether its reader received the entries that they
      // replaced, which may already have been missing when it read past their positions.
      yield { entries: options.merge === true ? mergeOutputs(entries) : entries, position }
    }
  } finally {
    await tail.rest.return?.()
  }
}
