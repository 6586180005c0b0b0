// Large messages: the log, every reader and this node's memory have an abridged message; the whole is stored as a segment of a
// transcript that the session has for this only. It is stored before the message, so an acknowledged message is complete.
import { subtle } from 'node:crypto'
import {
  type Context,
  cutText,
  formatCursor,
  LIMITS,
  type MessageEvent,
  type Part,
  parseJson,
  stringifyJson,
} from '@parley/protocol'
import type { Logger } from 'pino'
import { afterPass } from '../store/large-value.ts'
import { Conflict } from '../store/ports/errors.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { TranscriptStore } from '../store/ports/transcript-store.ts'
import { pathTo } from './state/message-tree.ts'
import type { MessageState, SessionState } from './state/session-state.ts'

interface Stores {
  readonly log: Pick<SessionLog, 'epoch'>
  readonly transcripts: TranscriptStore
}

interface Reading {
  readonly transcripts: TranscriptStore
  readonly logger?: Logger
}

type Whole = Pick<MessageEvent, 'content' | 'context'>

/** UTF-16 code units of JSON up to which the log has the whole message. */
const WHOLE_CHARS = 256 * 1024
/** Up to which it has the whole content. */
const CONTENT_CHARS = LIMITS.frameBytes
/** Of each text in an abridged content. */
const TEXT_CHARS = 4 * 1024
/** Attempts of a save, each of which another message of the session may win. */
const SAVES_MAX = 64

/** The transcript with the large messages of a session. No session has such an id. */
function nameOf(session: string): string {
  return `${session}~messages`
}

/**
 * Stores the whole of a large message.
 * @returns the message for the log
 * @throws StorageError
 */
export async function abridge(stores: Stores, session: string, event: MessageEvent): Promise<MessageEvent> {
  const json = wholeJson(event)
  if (json.length <= WHOLE_CHARS) return event
  const { content, context, ...rest } = event
  const { history, ...others } = context ?? {}
  await afterPass(json.length)
  const isLong = json.length > CONTENT_CHARS && stringifyJson(content).length > CONTENT_CHARS
  if (history === undefined && !isLong) return event
  const digest = await digestOf(json)
  const segment = await save(stores, session, json)
  return {
    ...rest,
    content: isLong ? content.map(abridgePart) : content,
    ...(context === undefined ? {} : { context: others }),
    abridged: { segment, digest },
  }
}

/** Whether an abridged message stands for this one. */
export async function isAbridgedFrom({ abridged }: MessageEvent, whole: Whole): Promise<boolean> {
  return abridged !== undefined && abridged.digest === (await digestOf(wholeJson(whole)))
}

/**
 * The whole of a message. If it was lost with a part of the store, what the log has, and a warning is logged.
 * @returns the message, and the UTF-16 code units that were read
 * @throws StorageError
 */
export async function wholeMessage(
  { transcripts, logger }: Reading,
  session: string,
  message: MessageState,
): Promise<readonly [MessageState, number]> {
  const { abridged, ...event } = message.event
  if (abridged === undefined) return [message, 0]
  const [entry] = (await transcripts.segment(nameOf(session), abridged.segment)) ?? []
  if (entry === undefined) {
    if (logger !== undefined) logger.warn({ session, message: event.id }, 'a large message is lost')
    return [message, 0]
  }
  await afterPass(entry.json.length)
  const whole = parseJson(entry.json) as Whole
  await afterPass(entry.json.length)
  return [{ ...message, event: { ...event, ...whole } }, entry.json.length]
}

/**
 * A state in which the conversation that ends with `message` has its whole messages, from the newest on.
 * @param chars of them at most, except that the newest is always whole
 * @throws StorageError
 */
export async function withWholeMessages(
  stores: Reading,
  session: string,
  state: SessionState,
  message: string,
  chars: number,
): Promise<SessionState> {
  const whole = new Map<MessageState, MessageState>()
  let left = chars
  for (const each of pathTo(state.messages, message).toReversed()) {
    if (left <= 0) break
    const [loaded, size] = await wholeMessage(stores, session, each)
    if (loaded !== each) whole.set(each, loaded)
    left -= size
  }
  if (whole.size === 0) return state
  return { ...state, messages: state.messages.map((each) => whole.get(each) ?? each) }
}

/** Deletes the large messages of a session. @param isFinal whether nothing else of the session remains @throws StorageError */
export async function purgeLargeMessages(
  { log, transcripts }: Stores,
  session: string,
  isFinal: boolean,
): Promise<void> {
  const name = nameOf(session)
  if ((await transcripts.load(name)) === undefined) return
  // Until then, an empty replacement makes saves in progress fail.
  await transcripts.purge(name, isFinal ? undefined : formatCursor(log.epoch, 0))
}

/** @returns the number of the segment */
async function save({ log, transcripts }: Stores, session: string, json: string): Promise<number> {
  const name = nameOf(session)
  for (let attempt = 1; ; attempt += 1) {
    const { revision = 0, sealed = 0 } = (await transcripts.load(name)) ?? {}
    const transcript = { cursor: formatCursor(log.epoch, 0), sealed: sealed + 1, entries: [], commands: [] }
    try {
      await transcripts.save(name, transcript, revision, [[{ seq: 0, time: 0, json }]])
      return sealed
    } catch (error) {
      if (!(error instanceof Conflict) || attempt === SAVES_MAX) throw error
    }
  }
}

function wholeJson({ content, context }: { content: readonly Part[]; context?: Context | undefined }): string {
  return stringifyJson({ content, context })
}

/** In another thread. */
async function digestOf(json: string): Promise<string> {
  const bytes = Buffer.from(json)
  await afterPass(bytes.length)
  return Buffer.from(await subtle.digest('SHA-256', bytes)).toString('base64url')
}

function abridgePart(part: Part): Part {
  if (part.type === 'text') {
    return part.text.length <= TEXT_CHARS ? part : { ...part, text: `${cutText(part.text, TEXT_CHARS)}…` }
  }
  return part.data === undefined ? part : { type: 'text', text: `[file: ${part.name ?? part.mediaType}]` }
}
