// findRun in the whole of a session: what is folded in memory, what other nodes have appended meanwhile, and the sealed
// segments of its transcript, of which few have to be looked at, because an id tells when its run was made.
import { type Event, parseCursor, ReplyError, timeOfId } from '@parley/protocol'
import type { FoldedEntry } from '../store/ports/transcript-store.ts'
import { type FoundRun, messagesOf } from './run-report.ts'
import type { SessionReplica, SessionStores } from './session-replica.ts'
import { foldAll } from './state/apply-entry.ts'
import { EMPTY_SESSION, findRun, type SessionState } from './state/session-state.ts'

/** Milliseconds to wait until this node has read what another one appended. */
const CATCH_UP_MS = 5_000
/** Milliseconds by which the clocks of nodes may differ, and a message may come later than its id was made. */
const SLACK_MS = 10 * 60_000

/**
 * @returns undefined when the session has no such run, and never had
 * @throws StorageError, ReplyError `unavailable`
 */
export async function lookUpRun(
  stores: SessionStores,
  session: SessionReplica,
  run: string,
): Promise<FoundRun | undefined> {
  const known = inState(session.state, run)
  if (known !== undefined) return known
  await catchUp(stores, session)
  return inState(session.state, run) ?? (await inSegments(stores, session.id, run))
}

/** Resolves when the session has folded all that is in the log by now, whoever appended it. @throws ReplyError `unavailable`, `session_deleted` */
export async function catchUp(stores: Pick<SessionStores, 'log'>, session: SessionReplica): Promise<void> {
  const head = parseCursor(await stores.log.head(session.id))?.seq ?? 0
  try {
    await session.reached(head, AbortSignal.timeout(CATCH_UP_MS))
  } catch (cause) {
    throw new ReplyError('unavailable', undefined, { cause })
  }
  session.mustLive()
}

/** What the transcript has of a run, in order. */
export async function foldedEntriesOf(
  stores: SessionStores,
  session: string,
  { view }: FoundRun,
): Promise<readonly FoldedEntry[]> {
  const transcript = await stores.transcripts.load(session)
  if (transcript === undefined) return []
  const messages = messagesOf(view)
  const isOf = (event: Event): boolean =>
    ('run' in event && event.run === view.id) || (event.type === 'message' && messages.has(event.id))
  const take = (entries: readonly FoldedEntry[]): readonly FoldedEntry[] =>
    entries.filter(({ json }) => isOf(JSON.parse(json) as Event))
  // With its message stands all of it, but for an end that was said once more.
  const isWhole = (entries: readonly FoldedEntry[]): boolean => entries.some(({ seq }) => seq === view.order)
  const open = take(transcript.entries)
  if (isWhole(open)) return open
  for await (const segment of likelySegments(stores, session, transcript.sealed, view.id)) {
    const own = take(segment)
    if (isWhole(own)) return [...own, ...open]
  }
  return open
}

/**
 * The run as a part tells it; undefined when it is in another one. The part has the run's message, and something of its
 * own: a message that came too late to steer it, or its end said once more, may stand apart from it.
 */
function holds(entries: readonly FoldedEntry[], run: string): FoundRun | undefined {
  const own = entries.some(({ json }) => {
    const event = JSON.parse(json) as Event
    return event.type.startsWith('run.') && 'run' in event && event.run === run
  })
  return own ? inState(folded(entries), run) : undefined
}

function inState(state: SessionState, run: string): FoundRun | undefined {
  const view = findRun(state, run)
  return view === undefined ? undefined : { state, view }
}

async function inSegments(stores: SessionStores, session: string, run: string): Promise<FoundRun | undefined> {
  const transcript = await stores.transcripts.load(session)
  if (transcript === undefined) return undefined
  for await (const entries of likelySegments(stores, session, transcript.sealed, run)) {
    const found = holds(entries, run)
    if (found !== undefined) return found
  }
  return undefined
}

function folded(entries: readonly FoldedEntry[]): SessionState {
  return foldAll(
    EMPTY_SESSION,
    entries.map(({ seq, time, json }) => ({ seq, time, event: JSON.parse(json) as Event })),
  )
}

/** Those that may hold a run of that id: around its time, or, for an id that tells none, all of them, newest first. */
async function* likelySegments(
  stores: SessionStores,
  session: string,
  sealed: number,
  run: string,
): AsyncGenerator<readonly FoldedEntry[]> {
  const time = timeOfId(run)
  if (time === undefined) {
    for (let number = sealed - 1; number >= 0; number -= 1) {
      const segment = await stores.transcripts.segment(session, number)
      if (segment !== undefined) yield segment
    }
    return
  }
  // Segments are in the order of the log, and so of time, but for the slack. The first that does not end before the run:
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
