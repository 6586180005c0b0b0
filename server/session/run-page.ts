// RunPage: the entries of a run after a cursor, in pages of limited size, for clients that poll. It reads the log or,
// if the log was trimmed, the transcript. A reader that follows the cursors gets every current entry of the run, in
// order.
import { type Cursor, formatCursor, parseCursor, ReplyError } from '@parley/protocol'
import type { Entry, Seq } from '../store/ports/entry.ts'
import { CursorLost } from '../store/ports/errors.ts'
import { transcriptEntriesOf } from './find-run.ts'
import { type FoundRun, lastSeqOf, messageIdsOf } from './run-report.ts'
import type { SessionStores } from './session-replica.ts'
import { topRun } from './state/child-runs.ts'
import { mergeOutputs, type ProjectedEntry } from './transcript/entry-projection.ts'

export interface RunPage {
  /** Adjacent outputs are merged. */
  readonly entries: readonly ProjectedEntry[]
  /** The reader's position after the page. */
  readonly position: Seq
  /** The next page is available now. */
  readonly more: boolean
  /** The page does not continue from the given cursor: it starts at the run's first entry. */
  readonly reset: boolean
}

/** The approximate maximum of a page, in bytes of JSON. The last batch is not split. */
const PAGE_BYTES = 256 * 1024

/**
 * @param head the position of the replica; a cursor beyond it does not belong to this session
 * @param after omitted: start at the run's first entry
 * @throws ReplyError `invalid_cursor`, `contended` if the log is trimmed faster than it is read; StorageError
 */
export async function readRunPage(
  stores: SessionStores,
  session: string,
  found: FoundRun,
  head: Seq,
  after?: Cursor,
): Promise<RunPage> {
  const { epoch } = stores.log
  // Compaction may have dropped the call that began a child run, so its own order may be too late.
  const start = Math.max(0, topRun(found.state, found.record).order - 1)
  const position = after === undefined ? { epoch, seq: start } : parseCursor(after)
  if (position === undefined) throw new ReplyError('invalid_cursor')
  const reset = position.epoch !== epoch || (after !== undefined && position.seq > head)
  const from = reset ? start : Math.max(start, position.seq)
  if (after !== undefined && !reset && from >= lastSeqOf(found))
    return { entries: [], position: from, more: false, reset }
  try {
    return { ...(await readLog(stores, session, found, from)), reset }
  } catch (error) {
    if (!(error instanceof CursorLost)) throw error
  }
  try {
    // A transcript is only correct for a new reader: a compacted restart, for example, no longer says what it dropped.
    return { ...(await readTranscript(stores, session, found)), reset: after !== undefined }
  } catch (error) {
    // Between the two reads, a newer transcript was saved and the log was trimmed.
    if (error instanceof CursorLost) throw new ReplyError('contended', undefined, { retryAfterMs: 1_000, cause: error })
    throw error
  }
}

type PageContent = Omit<RunPage, 'reset'>

/** @throws CursorLost */
async function readLog(stores: SessionStores, session: string, found: FoundRun, from: Seq): Promise<PageContent> {
  const { record } = found
  const messages = messageIdsOf(record)
  // The subject decides if possible, so most entries need no parsing.
  const concerns = (entry: Entry): boolean => {
    const { subject } = entry
    if (subject === `run.${record.id}`) return true
    if (subject.startsWith('in.')) return messages.has(subject.slice('in.'.length))
    if (!subject.startsWith('tool.')) return false
    const { event } = entry
    if (event.type === 'tool.called' && event.child?.run === record.id) return true
    return 'run' in event && event.run === record.id
  }
  const last = lastSeqOf(found)
  const entries: ProjectedEntry[] = []
  let bytes = 0
  let position = from
  // In a state from a transcript, the end has the sequence number of its first entry, not of the compacted one.
  let ended = record.ended === undefined
  for await (const batch of stores.log.read(session, formatCursor(stores.log.epoch, from))) {
    const own = batch.filter(concerns)
    for (const item of mergeOutputs(own)) {
      entries.push(item)
      bytes += item.json.length
    }
    position = batch.at(-1)?.seq ?? position
    ended ||= own.some((entry) => entry.subject === `run.${record.id}` && entry.event.type === 'run.ended')
    if (ended && position >= last) break
    if (bytes >= PAGE_BYTES) return { entries, position, more: true }
  }
  return { entries, position: Math.max(last, entries.at(-1)?.seq ?? 0, from), more: false }
}

/** All compacted entries of the run, and the first page of the log after them. @throws CursorLost */
async function readTranscript(stores: SessionStores, session: string, found: FoundRun): Promise<PageContent> {
  const transcript = await stores.transcripts.load(session)
  const entries = await transcriptEntriesOf(stores, session, found)
  const covered = parseCursor(transcript?.cursor ?? '')?.seq ?? 0
  const last = lastSeqOf(found)
  if (last <= covered) return { entries, position: last, more: false }
  const tail = await readLog(stores, session, found, covered)
  return { ...tail, entries: [...entries, ...tail.entries] }
}
