// How an entry lies in a JetStream message. Its names are the message's subject; its number is the stream's sequence;
// its payload is one line of text: a few fields, then the event's JSON, so that the very same bytes are stored,
// republished, replayed and cached. Pure.
//
//   1 \t prev \t time \t roll-up \t known \t id \t JSON
//
// `known` is the newest entry of the session that the appender had seen, when that is newer than `prev`: a node that
// has not seen it either knows that it lost something. `id` is the append's own, so that an append whose answer was
// lost is recognised when it is found stored. An event that is larger than a message may be is stored in parts, on a
// subject of their own, before its line: that has format 2, and the parts' sequence numbers in place of the JSON.
import type { Event } from '@parley/protocol'
import { Entry, type Seq } from '../../ports/entry.ts'

const WHOLE = '1'
const IN_PARTS = '2'

export interface Line {
  readonly prev: Seq
  /** Unix milliseconds. */
  readonly time: number
  readonly rollup: boolean
  /** 0: nothing newer than `prev`. */
  readonly known: Seq
  readonly id: string
  readonly json: string
  /** Where the JSON is, when it is too large for the line. */
  readonly parts?: readonly Seq[]
}

/** A message taken apart. */
export interface Stored {
  readonly entry: Entry
  readonly known: Seq
  readonly id: string
  /** The entry's JSON is still to be put together of these messages. */
  readonly parts?: readonly Seq[]
}

/** What a stream hands out. */
export interface StoredMessage {
  /** With the stream's prefix and the session. */
  readonly subject: string
  readonly seq: Seq
  readonly data: Uint8Array
}

export function encodeLine({ prev, time, rollup, known, id, json, parts }: Line): string {
  const format = parts === undefined ? WHOLE : IN_PARTS
  const body = parts === undefined ? json : parts.join()
  return `${format}\t${prev}\t${time}\t${rollup ? 1 : 0}\t${known > prev ? known : ''}\t${id}\t${body}`
}

/**
 * @param subject the lane, without prefix and session
 * @param eventOf the parsed event of an append, where it is at hand
 * @throws Error on a format that this version does not know
 */
export function decodeLine(
  subject: string,
  seq: Seq,
  data: Uint8Array,
  eventOf?: (id: string) => Event | undefined,
): Stored {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
  const fields: string[] = []
  let from = 0
  for (let i = 0; i < 6; i++) {
    const tab = text.indexOf('\t', from)
    if (tab < 0) throw new Error('a message of the log is not a line of this version')
    fields.push(text.slice(from, tab))
    from = tab + 1
  }
  const [format, prev, time, rollup, known, id] = fields as [string, string, string, string, string, string]
  const body = text.slice(from)
  const about = { seq, prev: Number(prev), subject, time: Number(time), rollup: rollup === '1' }
  if (format === WHOLE) {
    return { entry: new Entry({ ...about, json: body }, eventOf?.(id)), known: Number(known), id }
  }
  if (format !== IN_PARTS) throw new Error(`the log has format ${format}, which this version does not read`)
  const parts = body.split(',').map(Number)
  return { entry: new Entry({ ...about, json: '' }), known: Number(known), id, parts }
}

/** Puts an entry in parts together. */
export function joinParts({ entry, known, id }: Stored, parts: readonly Uint8Array[]): Stored {
  const json = Buffer.concat(parts).toString()
  const { seq, prev, subject, time, rollup } = entry
  return { entry: new Entry({ seq, prev, subject, time, rollup, json }), known, id }
}

/** The NATS subjects of the sessions of one partition. */
export class LogSubjects {
  readonly #log: string
  readonly #live: string

  /** @param log what stored subjects begin with; @param live what republished ones do */
  constructor({ log, live }: { readonly log: string; readonly live: string }) {
    this.#log = `${log}.`
    this.#live = `${live}.`
  }

  /** Where a lane's entries are stored. */
  stored(session: string, subject: string): string {
    return `${this.#log}${escapeToken(session)}.${escapeTokens(subject)}`
  }

  /** Where a part of an entry is stored: beside the lanes, none of whose names has a bare %. */
  part(session: string, id: string, number: number): string {
    return `${this.#log}${escapeToken(session)}.${PART}${id}.${number}`
  }

  /** All of a session. */
  storedAll(session: string): string {
    return `${this.#log}${escapeToken(session)}.>`
  }

  /** Where a lane's entries are republished. */
  live(session: string, subject: string): string {
    return `${this.#live}${escapeToken(session)}.${escapeTokens(subject)}`
  }

  liveAll(session: string): string {
    return `${this.#live}${escapeToken(session)}.>`
  }

  /** The names in a stored subject. */
  ofStored(text: string): Names {
    return names(text, this.#log.length)
  }

  /** The names in a republished subject. */
  ofLive(text: string): Names {
    return names(text, this.#live.length)
  }
}

export interface Names {
  readonly session: string
  /** Undefined: it is a part of an entry. */
  readonly subject: string | undefined
}

const PART = '%part.'

function names(text: string, start: number): Names {
  const dot = text.indexOf('.', start)
  if (text.startsWith(PART, dot + 1)) return { session: unescapeToken(text.slice(start, dot)), subject: undefined }
  return { session: unescapeToken(text.slice(start, dot)), subject: unescapeToken(text.slice(dot + 1)) }
}

const PLAIN = /^[A-Za-z0-9_-]+$/
const PLAIN_TOKENS = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/

/** One token of a NATS subject: anything that NATS might read otherwise is written as %XX. */
export function escapeToken(name: string): string {
  return PLAIN.test(name) ? name : name.replaceAll(/[^A-Za-z0-9_-]/g, percent)
}

function escapeTokens(name: string): string {
  return PLAIN_TOKENS.test(name) ? name : escapeToken(name)
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}

export function unescapeToken(token: string): string {
  if (!token.includes('%')) return token
  return token.replaceAll(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
