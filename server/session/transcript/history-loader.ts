// HistoryLoader: reads the part of a conversation that is not in memory from closed segments of the session's
// transcript. The amount is limited, as it is for the history in memory.
import type { TranscriptStore } from '../../store/ports/transcript-store.ts'
import { applyEntries, type LoggedEvent, parseEntry } from '../state/apply-entry.ts'
import { type Parent, parentAt, pathTo } from '../state/message-tree.ts'
import { toParts } from '../state/run-output.ts'
import type { RunRecord } from '../state/run-record.ts'
import { EMPTY_SESSION, type MessageState, type SessionState } from '../state/session-state.ts'

interface Transcripts {
  readonly transcripts: TranscriptStore
}

/**
 * Adds the older messages and runs of the conversation that ends with `message` to the state, until the conversation is
 * complete or has `bytes` of JSON. Other branches are not loaded.
 * @throws StorageError
 */
export async function withHistory(
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
    const older = applyEntries(EMPTY_SESSION, segment)
    const last = wanted ?? older.messages.at(-1)?.event.id
    const part = last === undefined ? [] : pathTo(older.messages, last)
    const [oldest] = part
    if (oldest === undefined) continue
    messages.unshift(...part)
    const ids = new Set(part.map(({ event }) => event.id))
    for (const run of older.ended.values()) if (ids.has(run.message)) ended.set(run.id, run)
    left -= sizeOf(older, part)
    wanted = parentAt(older.messages, older.messages.indexOf(oldest))
    if (left <= 0 || wanted === null) break
  }
  if (messages.length === 0) return state
  return { ...state, messages: [...messages, ...state.messages], ended: new Map([...ended, ...state.ended]) }
}

/**
 * Whether the state lacks a part of the conversation that ends with `message`: its beginning, or the whole of a large message.
 * @param stores undefined: the state has all messages of the session
 * @throws StorageError
 */
export async function isCut(
  stores: Transcripts | undefined,
  session: string,
  { messages }: Pick<SessionState, 'messages'>,
  message: string,
): Promise<boolean> {
  const path = pathTo(messages, message)
  const [first] = path
  if (first === undefined || path.some(({ event }) => event.abridged !== undefined)) return true
  const parent = parentAt(messages, messages.indexOf(first))
  // Without a parent, it follows the previous message of the session.
  if (parent !== undefined) return parent !== null
  return stores !== undefined && hasEarlier(stores, session, first.seq)
}

/** Whether closed segments have messages before the sequence number `oldest`, which is that of a message. @throws StorageError */
export async function hasEarlier({ transcripts }: Transcripts, session: string, oldest: number): Promise<boolean> {
  const sealed = (await transcripts.load(session))?.sealed ?? 0
  for (let number = 0; number < sealed; number += 1) {
    const segment = (await transcripts.segment(session, number)) ?? []
    if ((segment[0]?.seq ?? 0) >= oldest) return false
    if (segment.map(parseEntry).some(({ seq, event }) => event.type === 'message' && seq < oldest)) return true
  }
  return false
}

/** Whether a closed segment has the message. @param oldest the sequence number of the oldest message in memory */
export async function isInHistory(stores: Transcripts, session: string, oldest: number, id: string): Promise<boolean> {
  for await (const segment of segmentsBefore(stores, session, oldest)) {
    if (segment.some(({ event }) => event.type === 'message' && event.id === id)) return true
  }
  return false
}

/** Closed segments, newest first, without those in memory. A segment is in memory completely or not at all. */
async function* segmentsBefore(
  { transcripts }: Transcripts,
  session: string,
  oldest: number,
): AsyncGenerator<readonly LoggedEvent[]> {
  const transcript = await transcripts.load(session)
  for (let number = (transcript?.sealed ?? 0) - 1; number >= 0; number -= 1) {
    const segment = (await transcripts.segment(session, number)) ?? []
    if ((segment.at(-1)?.seq ?? oldest) < oldest) yield segment.map(parseEntry)
  }
}

/** The approximate size of messages and answers, in bytes of JSON. */
function sizeOf(state: SessionState, path: readonly MessageState[]): number {
  const ids = new Set(path.map(({ event }) => event.id))
  let size = path.reduce((sum, { event }) => sum + JSON.stringify(event).length, 0)
  for (const run of state.ended.values()) {
    if (ids.has(run.message)) size += JSON.stringify(toParts(run.output)).length
  }
  return size
}
