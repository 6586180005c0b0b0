// lookUpRun: finds a run anywhere in a session: in memory, in entries that other nodes appended meanwhile, or in a
// closed segment of the transcript. It reads few segments, because a run's id contains its creation time.
import { type Event, timeOfId } from '@parley/protocol'
import type { CompactedEntry } from '../store/ports/transcript-store.ts'
import { catchUp } from './catch-up.ts'
import { type FoundRun, messageIdsOf } from './run-report.ts'
import type { SessionReplica, SessionStores } from './session-replica.ts'
import { applyEntries, parseEntry } from './state/apply-entry.ts'
import { EMPTY_SESSION, findRun, type SessionState } from './state/session-state.ts'

/** Milliseconds for clock differences between nodes, and for the delay between a run's id and its message. */
const SLACK_MS = 10 * 60_000

/**
 * @returns undefined if the session never had such a run
 * @throws StorageError, ReplyError `unavailable`
 */
export async function lookUpRun(
  stores: SessionStores,
  session: SessionReplica,
  run: string,
): Promise<FoundRun | undefined> {
  const known = findInState(session.state, run)
  if (known !== undefined) return known
  await catchUp(stores, session)
  return findInState(session.state, run) ?? (await findInSegments(stores, session.id, run))
}

/** The entries of a run in the transcript, in order. */
export async function transcriptEntriesOf(
  stores: SessionStores,
  session: string,
  { record }: FoundRun,
): Promise<readonly CompactedEntry[]> {
  const transcript = await stores.transcripts.load(session)
  if (transcript === undefined) return []
  const messages = messageIdsOf(record)
  const isOf = (event: Event): boolean =>
    ('run' in event && event.run === record.id) ||
    (event.type === 'message' && messages.has(event.id)) ||
    (event.type === 'tool.called' && event.child?.run === record.id)
  const ownEntries = (entries: readonly CompactedEntry[]): readonly CompactedEntry[] =>
    entries.filter(({ json }) => isOf(JSON.parse(json) as Event))
  // The segment with the run's message, or the call that began it, has all of its entries, except an end that was repeated later.
  const isComplete = (entries: readonly CompactedEntry[]): boolean => entries.some(({ seq }) => seq === record.order)
  const open = ownEntries(transcript.entries)
  if (isComplete(open)) return open
  let partial: readonly CompactedEntry[] = []
  for await (const segment of likelySegments(stores, session, transcript.sealed, record.id)) {
    const own = ownEntries(segment)
    if (isComplete(own)) return [...own, ...open]
    // Compaction drops the call of a replaced driver, but keeps the child run that it began.
    if (own.length > partial.length) partial = own
  }
  return record.parent === undefined ? open : [...partial, ...open]
}

/**
 * The run according to one segment; undefined if the run is in another one. The segment must have the run's message and
 * a `run.*` entry, because a late steering message or a repeated end may be in a different segment than the run.
 */
function findInSegment(entries: readonly CompactedEntry[], run: string): FoundRun | undefined {
  const events = entries.map(parseEntry)
  const own = events.some(({ event }) => event.type.startsWith('run.') && 'run' in event && event.run === run)
  return own ? findInState(applyEntries(EMPTY_SESSION, events), run) : undefined
}

function findInState(state: SessionState, run: string): FoundRun | undefined {
  const record = findRun(state, run)
  return record === undefined ? undefined : { state, record }
}

async function findInSegments(stores: SessionStores, session: string, run: string): Promise<FoundRun | undefined> {
  const transcript = await stores.transcripts.load(session)
  if (transcript === undefined) return undefined
  for await (const entries of likelySegments(stores, session, transcript.sealed, run)) {
    const found = findInSegment(entries, run)
    if (found !== undefined) return found
  }
  return undefined
}

/** The segments that may have the run: those around its creation time or, for an id without one, all, newest first. */
async function* likelySegments(
  stores: SessionStores,
  session: string,
  sealed: number,
  run: string,
): AsyncGenerator<readonly CompactedEntry[]> {
  const time = timeOfId(run)
  if (time === undefined) {
    for (let number = sealed - 1; number >= 0; number -= 1) {
      const segment = await stores.transcripts.segment(session, number)
      if (segment !== undefined) yield segment
    }
    return
  }
  // Segments are ordered by time, except for the slack. Find the first one that does not end before the run.
  let [low, high] = [0, sealed]
  while (low < high) {
    const middle = (low + high) >> 1
    const segment = await stores.transcripts.segment(session, middle)
    if ((segment?.at(-1)?.time ?? 0) < time - SLACK_MS) low = middle + 1
    else high = middle
  }
  for (let number = low; number < sealed; number += 1) {
    const segment = await stores.transcripts.segment(session, number)
    if ((segment?.[0]?.time ?? 0) > time + SLACK_MS) return
    if (segment !== undefined) yield segment
  }
}
