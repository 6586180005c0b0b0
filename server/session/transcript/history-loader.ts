// The past of a session that is not in memory: sealed segments of its transcript, from which a conversation is read on
// beyond what is folded, when a branch leads there. Bounded, as what is folded is.
import type { Event } from '@parley/protocol'
import type { FoldedEntry, TranscriptStore } from '../../store/ports/transcript-store.ts'
import { foldAll } from '../state/apply-entry.ts'
import { type Parent, parentAt, pathTo } from '../state/message-tree.ts'
import { toParts } from '../state/run-output.ts'
import type { RunRecord } from '../state/run-record.ts'
import { EMPTY_SESSION, type MessageState, type SessionState } from '../state/session-state.ts'

interface Transcripts {
  readonly transcripts: TranscriptStore
}

/**
 * The state with what the conversation up to a message needs of the past, until the conversation is whole or `bytes` of
 * JSON long. Of the past only what is on that path.
 * @throws StorageError
 */
export async function withPast(
  stores: Transcripts,
  session: string,
  state: SessionState,
  message: string,
  bytes: number,
): Promise<SessionState> {
  const path = pathTo(state.messages, message)
  const [first] = path
  if (first === undefined) return state
  let wanted: Parent = parentAt(state.messages, state.messages.indexOf(first))
  if (wanted === null) return state
  let left = bytes - sizeOf(state, path)
  if (left <= 0) return state
  const messages: MessageState[] = []
  const ended = new Map<string, RunRecord>()
  for await (const segment of segmentsBefore(stores, session, state.messages[0]?.seq ?? 0)) {
    const past = foldAll(EMPTY_SESSION, segment)
    const last = wanted ?? past.messages.at(-1)?.event.id
    const part = last === undefined ? [] : pathTo(past.messages, last)
    const [begin] = part
    if (begin === undefined) continue
    messages.unshift(...part)
    const ids = new Set(part.map(({ event }) => event.id))
    for (const run of past.ended.values()) if (ids.has(run.message)) ended.set(run.id, run)
    left -= sizeOf(past, part)
    wanted = parentAt(past.messages, past.messages.indexOf(begin))
    if (left <= 0 || wanted === null) break
  }
  if (messages.length === 0) return state
  return { ...state, messages: [...messages, ...state.messages], ended: new Map([...ended, ...state.ended]) }
}

/** Whether a message is in the past of a session. @param oldest the sequence number of the first that is in memory */
export async function isInPast(stores: Transcripts, session: string, oldest: number, id: string): Promise<boolean> {
  for await (const segment of segmentsBefore(stores, session, oldest)) {
    if (segment.some(({ event }) => event.type === 'message' && event.id === id)) return true
  }
  return false
}

interface PastEntry {
  readonly seq: number
  readonly time: number
  readonly event: Event
}

/** Sealed segments, the newest first, but for those that are in memory, of which each is there whole. */
async function* segmentsBefore(
  { transcripts }: Transcripts,
  session: string,
  oldest: number,
): AsyncGenerator<readonly PastEntry[]> {
  const transcript = await transcripts.load(session)
  for (let number = (transcript?.sealed ?? 0) - 1; number >= 0; number -= 1) {
    const segment = (await transcripts.segment(session, number)) ?? []
    if ((segment.at(-1)?.seq ?? oldest) < oldest) yield segment.map(asEntry)
  }
}

function asEntry({ seq, time, json }: FoldedEntry): PastEntry {
  return { seq, time, event: JSON.parse(json) as Event }
}

/** Bytes of JSON, about: of what was said. */
function sizeOf(state: SessionState, path: readonly MessageState[]): number {
  const ids = new Set(path.map(({ event }) => event.id))
  let size = path.reduce((sum, { event }) => sum + JSON.stringify(event).length, 0)
  for (const run of state.ended.values()) {
    if (ids.has(run.message)) size += JSON.stringify(toParts(run.output)).length
  }
  return size
}
