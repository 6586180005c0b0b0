// EntryMessage: encoded entries: one WebSocket message (a frame or an array of frames), server-sent events, NDJSON lines, or
// items of a list. Each form is encoded once for all readers of a session. JSON forms insert the log's JSON text unparsed.
import { type CodecName, msgpackCodec, parseJson } from '@parley/protocol'
import type { ProjectedEntry } from '../../session/transcript/entry-projection.ts'
import type { Seq } from '../../store/ports/entry.ts'

export type MessageData = string | Uint8Array

/**
 * Data for uWS, which must never get a non-ASCII string: on Node 24, its builds since 20.63 send Latin-1 strings as
 * Latin-1 instead of UTF-8 (uNetworking/uWebSockets.js#1280).
 */
export function asBytes(data: MessageData): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : data
}

/** These characters have the same bytes in Latin-1 and UTF-8. */
const ASCII = /^[\0-\x7f]*$/
/** Number of characters up to which the ASCII test is cheaper than encoding to bytes. */
const SHORT = 512

/** Like `asBytes`, optimized for tokens: most are short ASCII. */
export function asSent(data: MessageData): MessageData {
  if (typeof data !== 'string') return data
  return data.length <= SHORT && ASCII.test(data) ? data : Buffer.from(data)
}

/** `list`: frames separated by commas. */
export type EntryForm = CodecName | 'sse' | 'ndjson' | 'list'

/** The start of every frame of a session. */
export class FrameHead {
  readonly session: string
  readonly epoch: string
  /** Created for the first entry, because most followed sessions are idle. */
  #json: string | undefined

  constructor(session: string, epoch: string) {
    this.session = session
    this.epoch = epoch
  }

  /** The JSON up to the cursor's sequence number. */
  get json(): string {
    // Ids and epochs contain only A-Z a-z 0-9 _ - and need no escapes.
    this.#json ??= `{"type":"entry","session":"${this.session}","cursor":"${this.epoch}.`
    return this.#json
  }

  /** The uWS topic for broadcasts of the session. */
  topic(codec: CodecName): string {
    return `${this.session}.${codec}`
  }
}

export class EntryMessage {
  readonly #head: FrameHead
  readonly #shown: readonly ProjectedEntry[]
  readonly #shared: boolean
  /** The position of a reader that has received it. */
  readonly position: Seq
  #json: MessageData | undefined
  #msgpack: MessageData | undefined
  /** The encoded forms for plain HTTP. */
  #others: Map<EntryForm, MessageData> | undefined

  /** @param shared whether many readers get it: then it is encoded to UTF-8 once here instead of for each socket in uWS */
  constructor(head: FrameHead, shown: readonly ProjectedEntry[], position: Seq, shared = false) {
    this.#head = head
    this.#shown = shown
    this.position = position
    this.#shared = shared
    this.#json = undefined
    this.#msgpack = undefined
    this.#others = undefined
  }

  /** Approximate size in UTF-16 code units, for limits. */
  get length(): number {
    let length = 0
    for (const { json } of this.#shown) length += json.length
    return length
  }

  /** Whether there is nothing to send. */
  get empty(): boolean {
    return this.#shown.length === 0
  }

  /** A message with only the entries that `keep` accepts, and the same position. */
  filter(keep: (entry: ProjectedEntry) => boolean): EntryMessage {
    return new EntryMessage(this.#head, this.#shown.filter(keep), this.position)
  }

  in(form: EntryForm): MessageData {
    if (form === 'json') {
      if (this.#json === undefined) this.#json = this.#data(entriesAsJson(this.#head, this.#shown))
      return this.#json
    }
    if (form === 'msgpack') {
      this.#msgpack ??= entriesAsMsgpack(this.#head, this.#shown)
      return this.#msgpack
    }
    this.#others ??= new Map()
    let data = this.#others.get(form)
    if (data === undefined) {
      data = this.#data(entriesAsText(this.#head, this.#shown, form))
      this.#others.set(form, data)
    }
    return data
  }

  #data(text: string): MessageData {
    return this.#shared ? Buffer.from(text) : text
  }
}

function entriesAsText(head: FrameHead, shown: readonly ProjectedEntry[], form: 'sse' | 'ndjson' | 'list'): string {
  if (form === 'list') return shown.map((entry) => entryAsJson(head, entry)).join(',')
  let text = ''
  for (const entry of shown) {
    // Encoded JSON contains no line breaks.
    if (form === 'ndjson') text += `${entryAsJson(head, entry)}\n`
    // The id is last: some clients keep the id of an event that was cut off, and would resume behind it.
    else text += `event: ${typeOf(entry)}\ndata: ${entryAsJson(head, entry)}\nid: ${head.epoch}.${entry.seq}\n\n`
  }
  return text
}

/** In stored JSON, the type is the first field. */
const TYPE = /^\{"type":"([a-z.]+)"/

function typeOf({ json }: ProjectedEntry): string {
  return TYPE.exec(json)?.[1] ?? (JSON.parse(json) as { type: string }).type
}

function entriesAsJson(head: FrameHead, shown: readonly ProjectedEntry[]): string {
  const first = shown[0]
  // Nearly always a single token.
  if (shown.length === 1 && first !== undefined) return entryAsJson(head, first)
  return `[${shown.map((entry) => entryAsJson(head, entry)).join(',')}]`
}

function entryAsJson(head: FrameHead, { seq, time, json }: ProjectedEntry): string {
  return `${head.json}${seq}","time":${time},"event":${json}}`
}

function entriesAsMsgpack({ session, epoch }: FrameHead, shown: readonly ProjectedEntry[]): Uint8Array {
  const frames = shown.map(({ seq, time, json }) => ({
    type: 'entry',
    session,
    cursor: `${epoch}.${seq}`,
    time,
    event: parseJson(json),
  }))
  return msgpackCodec.encode(frames.length === 1 ? frames[0] : frames) as Uint8Array
}
