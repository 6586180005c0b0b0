// EntryMessage: entries as they are sent: one WebSocket message (a frame or an array of frames), server-sent events, lines,
// or items of a list. Written once per form for all readers of a session; as JSON it is spliced around the text that the log
// holds, which is not parsed.
import { type CodecName, msgpackCodec } from '@parley/protocol'
import type { Shown } from '../../session/transcript/entry-projection.ts'
import type { Seq } from '../../store/ports/entry.ts'

export type MessageData = string | Uint8Array

/**
 * What is given to uWS. Never a string with more than ASCII: on Node 24 its builds since 20.63 send the code units of one
 * that is of Latin-1 alone as they are, which is no UTF-8 (uNetworking/uWebSockets.js#1280).
 */
export function asBytes(data: MessageData): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : data
}

/** The same in Latin-1 and in UTF-8. */
const ASCII = /^[\0-\x7f]*$/
/** Characters up to which looking at them all costs less than making bytes of them. */
const SHORT = 512

/** As `asBytes`, for what is sent at every token: most are short, and of ASCII. */
export function asSent(data: MessageData): MessageData {
  if (typeof data !== 'string') return data
  return data.length <= SHORT && ASCII.test(data) ? data : Buffer.from(data)
}

/** `list`: frames with commas between. */
export type EntryForm = CodecName | 'sse' | 'ndjson' | 'list'

/** Whose entries they are: what every frame of a session begins with. */
export class FrameHead {
  readonly session: string
  readonly epoch: string
  /** There from the first entry on: most sessions that are read are silent. */
  #json: string | undefined

  constructor(session: string, epoch: string) {
    this.session = session
    this.epoch = epoch
  }

  /** Up to the cursor's number. */
  get json(): string {
    // Ids and epochs are of A-Z a-z 0-9 _ - and need no escapes.
    this.#json ??= `{"type":"entry","session":"${this.session}","cursor":"${this.epoch}.`
    return this.#json
  }

  /** What readers of many of the session subscribe to. */
  topic(codec: CodecName): string {
    return `${this.session}.${codec}`
  }
}

export class EntryMessage {
  readonly #head: FrameHead
  readonly #shown: readonly Shown[]
  readonly #shared: boolean
  /** Where readers stand who were sent it. */
  readonly position: Seq
  #json: MessageData | undefined
  #msgpack: MessageData | undefined
  /** In the forms of plain HTTP. */
  #others: Map<EntryForm, MessageData> | undefined

  /** @param shared many are sent it: then its UTF-8 is made once here, and not for each of them in uWS */
  constructor(head: FrameHead, shown: readonly Shown[], position: Seq, shared = false) {
    this.#head = head
    this.#shown = shown
    this.position = position
    this.#shared = shared
    this.#json = undefined
    this.#msgpack = undefined
    this.#others = undefined
  }

  /** UTF-16 code units of the events, about: enough to bound what is sent at once. */
  get length(): number {
    let length = 0
    for (const { json } of this.#shown) length += json.length
    return length
  }

  /** Nothing is to be sent. */
  get empty(): boolean {
    return this.#shown.length === 0
  }

  /** Those of its entries that a reader wants; the position stays. */
  kept(keep: (entry: Shown) => boolean): EntryMessage {
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

function entriesAsText(head: FrameHead, shown: readonly Shown[], form: 'sse' | 'ndjson' | 'list'): string {
  if (form === 'list') return shown.map((entry) => entryAsJson(head, entry)).join(',')
  let text = ''
  for (const entry of shown) {
    // JSON has no line break in it.
    if (form === 'ndjson') text += `${entryAsJson(head, entry)}\n`
    else text += `id: ${head.epoch}.${entry.seq}\nevent: ${typeOf(entry)}\ndata: ${entryAsJson(head, entry)}\n\n`
  }
  return text
}

/** The type comes first in what the log stores. */
const TYPE = /^\{"type":"([a-z.]+)"/

function typeOf({ json }: Shown): string {
  return TYPE.exec(json)?.[1] ?? (JSON.parse(json) as { type: string }).type
}

function entriesAsJson(head: FrameHead, shown: readonly Shown[]): string {
  const first = shown[0]
  // Nearly always one token.
  if (shown.length === 1 && first !== undefined) return entryAsJson(head, first)
  return `[${shown.map((entry) => entryAsJson(head, entry)).join(',')}]`
}

function entryAsJson(head: FrameHead, { seq, time, json }: Shown): string {
  return `${head.json}${seq}","time":${time},"event":${json}}`
}

function entriesAsMsgpack({ session, epoch }: FrameHead, shown: readonly Shown[]): Uint8Array {
  const frames = shown.map(({ seq, time, json }) => ({
    type: 'entry',
    session,
    cursor: `${epoch}.${seq}`,
    time,
    event: JSON.parse(json),
  }))
  return msgpackCodec.encode(frames.length === 1 ? frames[0] : frames) as Uint8Array
}
