// JournalRecord: the format of a journal message, which carries entries of many sessions. It is text, because every node
// reads every record and most entries are of sessions that it does not follow: those are skipped unparsed. Pure.
//
//   1 \t journal \t number \n
//   session \t subject \t base \t place \t time \t JSON \n …
//
// A record has at most one entry of a session, so that the stream's sequence number identifies the entry.
import type { Seq } from '../../ports/entry.ts'
import type { Journaled } from './ordered-compare.ts'

const FORMAT = '1'
/** Bytes of an entry's numbers and separators at most. */
const FIELDS_BYTES = 64
/** Bytes of a record's first line at most. */
const HEAD_BYTES = 64

/** An entry before it is stored. */
export interface JournalEntry {
  readonly session: string
  readonly subject: string
  readonly base: Seq
  readonly place: number
  /** Unix milliseconds. */
  readonly time: number
  readonly json: string
}

export interface RecordLimits {
  readonly entries: number
  /** Bytes of the message, without NATS headers. */
  readonly bytes: number
}

/** Identifies a record, so that its writer recognizes it. */
export interface RecordName {
  /** Random, for each start of a node. Letters, digits, `-` and `_`. */
  readonly journal: string
  /** 1, 2, 3 … */
  readonly number: number
}

/** Bytes of an entry in a record, at most. An entry above the limit of a record is appended as a compared entry. */
export function entryBytes({ session, subject, json }: JournalEntry): number {
  return session.length + subject.length + FIELDS_BYTES + Buffer.byteLength(json)
}

/**
 * Takes the entries of the next record. The others keep their order.
 * @param waiting each at most `limits.bytes` large, in the order of their submission
 */
export function takeRecord<T extends JournalEntry>(
  waiting: readonly T[],
  limits: RecordLimits,
): { readonly record: readonly T[]; readonly rest: readonly T[] } {
  const record: T[] = []
  const rest: T[] = []
  const sessions = new Set<string>()
  let bytes = HEAD_BYTES
  for (const entry of waiting) {
    const size = entryBytes(entry)
    const fits = record.length < limits.entries && (record.length === 0 || bytes + size <= limits.bytes)
    // Also after an entry that does not fit: later entries of its session must not overtake it.
    if (fits && !sessions.has(entry.session)) {
      record.push(entry)
      bytes += size
    } else rest.push(entry)
    sessions.add(entry.session)
  }
  return { record, rest }
}

export function encodeRecord({ journal, number }: RecordName, entries: readonly JournalEntry[]): string {
  let text = `${FORMAT}\t${journal}\t${number}`
  for (const { session, subject, base, place, time, json } of entries) {
    text += `\n${session}\t${subject}\t${base}\t${place}\t${time}\t${json}`
  }
  return text
}

/** @throws Error on a format that this version does not know */
export function recordName(text: string): RecordName {
  const end = text.indexOf('\n')
  const [format, journal, number] = (end < 0 ? text : text.slice(0, end)).split('\t')
  if (format !== FORMAT || journal === undefined || number === undefined) {
    throw new Error(`unsupported format of a journal record: ${format}`)
  }
  return { journal, number: Number(number) }
}

/** An entry of a stored record. */
export type StoredJournaled = JournalEntry & Journaled

/**
 * Calls `entry` for each entry of a wanted session.
 * @param seq the record's sequence number
 * @throws Error on a format that this version does not know
 */
export function readRecord(
  text: string,
  seq: Seq,
  wants: (session: string) => boolean,
  entry: (entry: StoredJournaled) => void,
): void {
  recordName(text)
  for (let from = text.indexOf('\n') + 1; from > 0; ) {
    const newline = text.indexOf('\n', from)
    const end = newline < 0 ? text.length : newline
    const session = text.slice(from, text.indexOf('\t', from))
    if (wants(session)) entry(readEntry(text, from + session.length + 1, end, session, seq))
    from = newline + 1
  }
}

function readEntry(text: string, start: number, end: number, session: string, seq: Seq): StoredJournaled {
  const fields: string[] = []
  let from = start
  while (fields.length < 4) {
    const tab = text.indexOf('\t', from)
    if (tab < 0 || tab >= end) throw new Error('an entry of a journal record has an unknown format')
    fields.push(text.slice(from, tab))
    from = tab + 1
  }
  const [subject = '', base, place, time] = fields
  const json = text.slice(from, end)
  return { session, seq, subject, base: Number(base), place: Number(place), time: Number(time), json }
}
