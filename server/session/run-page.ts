// RunPage: what a run has put into the log after a cursor, a bounded page at a time, for readers who ask now and then.
// Read from the log, and where that no longer reaches from the transcript; a reader who follows the cursors of the pages
// gets everything of the run that still stands, in order.
import { type Cursor, formatCursor, parseCursor, ReplyError } from '@parley/protocol'
import type { Entry, Seq } from '../store/ports/entry.ts'
import { CursorLost } from '../store/ports/errors.ts'
import { foldedEntriesOf } from './find-run.ts'
import { type FoundRun, lastOf, messagesOf } from './run-report.ts'
import type { SessionStores } from './session-replica.ts'
import { merged, type Shown } from './transcript/entry-projection.ts'

export interface RunPage {
  /** Outputs that follow each other are merged. */
  readonly shown: readonly Shown[]
  /** Where the reader stands after it. */
  readonly position: Seq
  /** There is more, at once. */
  readonly more: boolean
  /** The cursor that was given cannot be gone on from: this is the run's beginning. */
  readonly reset: boolean
}

/** Bytes of JSON in a page, about: what has been read is not cut. */
const PAGE_BYTES = 256 * 1024

/**
 * @param head of the session, as far as this node has folded it: a cursor beyond it is none of this session
 * @param after left out: from the run's beginning
 * @throws ReplyError `invalid_cursor`, `contended` when the log is trimmed faster than it can be read; StorageError
 */
export async function readRunPage(
  stores: SessionStores,
  session: string,
  found: FoundRun,
  head: Seq,
  after?: Cursor,
): Promise<RunPage> {
  const { epoch } = stores.log
  const begin = Math.max(0, found.view.order - 1)
  const position = after === undefined ? { epoch, seq: begin } : parseCursor(after)
  if (position === undefined) throw new ReplyError('invalid_cursor')
  const reset = position.epoch !== epoch || (after !== undefined && position.seq > head)
  const from = reset ? begin : Math.max(begin, position.seq)
  if (after !== undefined && !reset && from >= lastOf(found)) return { shown: [], position: from, more: false, reset }
  try {
    return { ...(await fromLog(stores, session, found, from)), reset }
  } catch (error) {
    if (!(error instanceof CursorLost)) throw error
  }
  try {
    // What is folded is told to those who hold nothing: of a restart, say, it no longer tells what it dropped.
    return { ...(await fromTranscript(stores, session, found)), reset: after !== undefined }
  } catch (error) {
    // A newer transcript was saved, and the log trimmed, between the two reads.
    if (error instanceof CursorLost) throw new ReplyError('contended', undefined, { retryAfterMs: 1_000, cause: error })
    throw error
  }
}

type Read = Omit<RunPage, 'reset'>

/** @throws CursorLost */
async function fromLog(stores: SessionStores, session: string, found: FoundRun, from: Seq): Promise<Read> {
  const { view } = found
  const messages = messagesOf(view)
  // By its subject where that tells: most entries need no parse.
  const concerns = (entry: Entry): boolean => {
    const { subject } = entry
    if (subject === `run.${view.id}`) return true
    if (subject.startsWith('in.')) return messages.has(subject.slice('in.'.length))
    return subject.startsWith('tool.') && 'run' in entry.event && entry.event.run === view.id
  }
  const last = lastOf(found)
  const shown: Shown[] = []
  let bytes = 0
  let position = from
  // The state may come from a transcript, which knows an end under the number that it had before it was given its output.
  let ended = view.ended === undefined
  for await (const batch of stores.log.read(session, formatCursor(stores.log.epoch, from))) {
    const own = batch.filter(concerns)
    for (const item of merged(own)) {
      shown.push(item)
      bytes += item.json.length
    }
    position = batch.at(-1)?.seq ?? position
    ended ||= own.some((entry) => entry.subject === `run.${view.id}` && entry.event.type === 'run.ended')
    if (ended && position >= last) break
    if (bytes >= PAGE_BYTES) return { shown, position, more: true }
  }
  return { shown, position: Math.max(last, shown.at(-1)?.seq ?? 0, from), more: false }
}

/** From the beginning: the folded entries, in one go, and then what the log has after them. @throws CursorLost */
async function fromTranscript(stores: SessionStores, session: string, found: FoundRun): Promise<Read> {
  const transcript = await stores.transcripts.load(session)
  const shown = await foldedEntriesOf(stores, session, found)
  const covered = parseCursor(transcript?.cursor ?? '')?.seq ?? 0
  const last = lastOf(found)
  if (last <= covered) return { shown, position: last, more: false }
  const tail = await fromLog(stores, session, found, covered)
  return { ...tail, shown: [...shown, ...tail.shown] }
}
