// The format of an entry in a JetStream message: session and subject are in the message's subject, the number is the
// stream's sequence, and the payload is a line of text. The same bytes are stored, republished, replayed and cached.
//
//   1 \t prev \t time \t rollup \t known \t id \t JSON
//
// - `known`: the newest entry of the session that the appender had seen, if newer than `prev`. A node that has not seen
//   it knows that it lost messages.
// - `id`: identifies the append, so that an appender without an acknowledgement finds its own entry.
//
// An event larger than a message is stored before its line, in parts on a subject of their own. Its line has format 2,
// and the sequence numbers of the parts instead of the JSON.
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
  /** The sequence numbers of the parts, if the JSON is too large for the line. */
  readonly parts: readonly Seq[] | undefined
}

/** A decoded message. */
export interface Stored {
  readonly entry: Entry
  readonly known: Seq
  readonly id: string
  /** The messages whose payloads form the entry's JSON, if it was stored in parts. */
  readonly parts?: readonly Seq[] | undefined
}

/** A message as it is stored in a stream. */
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
 * @param subject without prefix and session
 * @param eventOf the event of an append of this process, so that it need not be parsed
 * @throws Error on a format that this version does not know
 */
export function decodeLine(
  subject: string,
  seq: Seq,
  data: Uint8Array,
  eventOf?: (id: string) => Event | undefined,
): Stored {
  const { fields, body } = splitFields(data, 6)
  const [format, prev, time, rollup, known, id] = fields as [string, string, string, string, string, string]
  if (format !== WHOLE && format !== IN_PARTS) throw new Error(`unsupported format of a log entry: ${format}`)
  const isWhole = format === WHOLE
  const json = isWhole ? body : ''
  const stored = { seq, prev: Number(prev), subject, time: Number(time), rollup: rollup === '1', json }
  const entry = new Entry(stored, isWhole ? eventOf?.(id) : undefined)
  return { entry, known: Number(known), id, parts: isWhole ? undefined : body.split(',').map(Number) }
}

/** Splits a payload into fields that end with a tab, and the rest. @throws Error when it has fewer fields */
export function splitFields(data: Uint8Array, count: number): { readonly fields: string[]; readonly body: string } {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
  const fields: string[] = []
  let from = 0
  while (fields.length < count) {
    const tab = text.indexOf('\t', from)
    if (tab < 0) throw new Error('a stored message has an unknown format')
    fields.push(text.slice(from, tab))
    from = tab + 1
  }
  return { fields, body: text.slice(from) }
}

/** Joins the parts of an entry. */
export function joinParts({ entry, known, id }: Stored, parts: readonly Uint8Array[]): Stored {
  const json = Buffer.concat(parts).toString()
  const { seq, prev, subject, time, rollup } = entry
  return { entry: new Entry({ seq, prev, subject, time, rollup, json }), known, id }
}

/** The NATS subjects of the sessions of one partition. */
export class LogSubjects {
  readonly #log: string
  readonly #live: string

  /** @param log the prefix of stored subjects; @param live the prefix of republished subjects */
  constructor({ log, live }: { readonly log: string; readonly live: string }) {
    this.#log = `${log}.`
    this.#live = `${live}.`
  }

  /** The NATS subject that stores the entries of a subject. */
  stored(session: string, subject: string): string {
    return `${this.#log}${escapeToken(session)}.${escapeTokens(subject)}`
  }

  /** The NATS subject that stores a part of an entry. Escaped names never contain a bare %. */
  part(session: string, id: string, number: number): string {
    return `${this.#log}${escapeToken(session)}.${PART}${id}.${number}`
  }

  /** Matches all stored subjects of a session. */
  storedAll(session: string): string {
    return `${this.#log}${escapeToken(session)}.>`
  }

  /** The NATS subject on which the entries of a subject are republished. */
  live(session: string, subject: string): string {
    return `${this.#live}${escapeToken(session)}.${escapeTokens(subject)}`
  }

  /** Matches all republished subjects of a session. */
  liveAll(session: string): string {
    return `${this.#live}${escapeToken(session)}.>`
  }

  /** The names in a stored NATS subject. */
  ofStored(text: string): Names {
    return names(text, this.#log.length)
  }

  /** The names in a republished NATS subject. */
  ofLive(text: string): Names {
    return names(text, this.#live.length)
  }
}

export interface Names {
  readonly session: string
  /** Undefined for a part of an entry. */
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

/** Encodes a name as one token of a NATS subject: characters with a meaning for NATS become %XX. */
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
