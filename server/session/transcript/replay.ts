// Replay: what a reader who stands at a cursor has to be sent to catch up: the log's tail, or, when the
// cursor is missing or lost, the transcript and then the tail. Ends at about the head; a reader whose
// position then equals that of the live feed joins it.
import { type Cursor, formatCursor, parseCursor, ReplyError } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { CursorLost } from '../../store/ports/errors.ts'
import type { ReadLimits } from '../../store/ports/session-log.ts'
import type { FoldedEntry } from '../../store/ports/transcript-store.ts'
import type { SessionStores } from '../session-replica.ts'
import { isDeletion } from '../state/tombstone.ts'
import { merged, type Shown } from './entry-projection.ts'

export type { Shown } from './entry-projection.ts'

export interface ReplayBatch {
  /** May be empty, where the reader needs none of the batch. */
  readonly shown: readonly Shown[]
  /** Where the reader stands after it. */
  readonly position: Seq
}

export interface Replay {
  /** The cursor that was given cannot be gone on from: the reader drops what he holds. */
  readonly reset: boolean
  readonly batches: AsyncIterable<ReplayBatch>
}

export interface ReplayOptions extends ReadLimits {
  /** Merge neighbouring outputs of one run. */
  readonly merge?: boolean
}

const TRIES = 5

/**
 * @param after where the reader stands; undefined: at the beginning
 * @throws ReplyError `invalid_cursor`, `session_deleted`; the latter from `batches`, too
 * @throws CursorLost from `batches`, when the log was trimmed past a reader who reads too slowly: replay anew
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
    if (tail !== undefined) return { reset: false, batches: shownTail(tail, position.seq, options) }
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
    // Trimmed between our two reads, because a newer transcript was saved: take that one.
    if (attempt === TRIES) throw new ReplyError('contended')
  }
}

type Batches = AsyncIterator<readonly Entry[]>
interface Tail {
  readonly first: IteratorResult<readonly Entry[]>
  readonly rest: Batches
}

/** @returns undefined when the cursor is lost */
async function beginRead(
  stores: SessionStores,
  session: string,
  after: Cursor,
  limits: ReadLimits,
): Promise<Tail | undefined> {
  const rest = stores.log.read(session, after, limits)[Symbol.asyncIterator]()
  try {
    const first = await rest.next()
    mustLive(first.value)
    return { first, rest }
  } catch (error) {
    if (error instanceof CursorLost) return undefined
    throw error
  }
}

/** Where nobody needs a token, nobody was asked before. @throws ReplyError session_deleted */
function mustLive(entries: readonly Entry[] | undefined): void {
  if (entries?.some(isDeletion) === true) throw new ReplyError('session_deleted')
}

async function* transcriptThenTail(
  stores: SessionStores,
  session: string,
  sealed: number,
  entries: readonly FoldedEntry[],
  seq: Seq,
  tail: Tail,
  options: ReplayOptions,
): AsyncGenerator<ReplayBatch> {
  for (let number = 0; number < sealed; number += 1) {
    const segment = await stores.transcripts.segment(session, number)
    const last = segment?.at(-1)
    if (segment !== undefined && last !== undefined) yield { shown: segment, position: last.seq }
  }
  yield { shown: entries, position: seq }
  yield* shownTail(tail, seq, options)
}

async function* shownTail(tail: Tail, from: Seq, options: ReplayOptions): AsyncGenerator<ReplayBatch> {
  let position = from
  try {
    for (let step = tail.first; step.done !== true; step = await tail.rest.next()) {
      const entries = step.value
      mustLive(entries)
      // Whole, roll-ups too: a cursor does not tell whether its reader had what a roll-up took away, as it may
      // have been gone already when he read past its place.
      const shown: readonly Shown[] = entries
      position = entries.at(-1)?.seq ?? position
      yield { shown: options.merge === true ? merged(shown) : shown, position }
    }
  } finally {
    await tail.rest.return?.()
  }
}
