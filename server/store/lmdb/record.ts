// The stored form of entries, as text: a group (the entries of one commit, of many sessions) in the journal, and a
// chunk (entries of one session) in the tables. One line per entry, its JSON last; JSON.stringify leaves no raw tab or
// newline in it. Pure.
import { Entry, type Seq } from '../ports/entry.ts'

const GROUP_FORMAT = '1'
/** Strings that form one line of a group. */
const PARTS = 4

/** An entry and its session. */
export interface SessionEntry {
  readonly session: string
  readonly entry: Entry
}

/** The part of an entry's line between `prev` and its JSON. */
export function linePrefix(session: string, subject: string, rollup: boolean): string {
  return ['\t', rollup ? '1' : '0', '\t', session, '\t', subject, '\t'].join('')
}

export interface EncodedGroup {
  readonly text: string
  /** The position in `text` at which each entry's JSON begins. */
  readonly starts: readonly number[]
}

/**
 * @param winners entries of consecutive sequence numbers and the same time. `target.linePrefix` may be the prefix for
 *   an entry without `rollup`, so that it need not be built again.
 */
export function encodeGroup(
  time: number,
  winners: readonly {
    readonly target: { readonly session: string; readonly linePrefix?: string }
    readonly entry: Entry
  }[],
): EncodedGroup {
  // Joined once: concatenation would create a tree of small strings, which costs garbage collection.
  const parts = new Array<string>(1 + winners.length * PARTS)
  const starts = new Array<number>(winners.length)
  const begin = `${GROUP_FORMAT}\t${time}\n`
  parts[0] = begin
  let length = begin.length
  for (let at = 0, part = 1; at < winners.length; at += 1, part += PARTS) {
    const { target, entry } = winners[at] as (typeof winners)[number]
    const { rollup, subject, json } = entry
    const prev = String(entry.prev)
    const prefix =
      rollup || target.linePrefix === undefined ? linePrefix(target.session, subject, rollup) : target.linePrefix
    length += prev.length + prefix.length
    starts[at] = length
    length += json.length + 1
    parts[part] = prev
    parts[part + 1] = prefix
    parts[part + 2] = json
    parts[part + 3] = '\n'
  }
  return { text: parts.join(''), starts }
}

/** @param first the sequence number of the group's first entry */
export function decodeGroup(first: Seq, bytes: Buffer): SessionEntry[] {
  const lines = bytes.toString().split('\n')
  const [format, time] = (lines[0] as string).split('\t')
  if (format !== GROUP_FORMAT)
    throw new Error(`the journal has format ${format}; this version reads only format ${GROUP_FORMAT}`)
  const decoded: SessionEntry[] = []
  for (let i = 1; i < lines.length - 1; i++) {
    const [prev, rollup, session, subject, json] = (lines[i] as string).split('\t') as [
      string,
      string,
      string,
      string,
      string,
    ]
    const seq = first + i - 1
    decoded.push({
      session,
      entry: new Entry({ seq, prev: Number(prev), subject, time: Number(time), rollup: rollup === '1', json }),
    })
  }
  return decoded
}

export function encodeChunk(entries: readonly Entry[]): Buffer {
  let text = ''
  for (const { seq, prev, subject, time, rollup, json } of entries) {
    text += `${seq}\t${prev}\t${time}\t${rollup ? 1 : 0}\t${subject}\t${json}\n`
  }
  return Buffer.from(text)
}

export function decodeChunk(bytes: Buffer): Entry[] {
  const entries: Entry[] = []
  for (const line of bytes.toString().split('\n')) {
    if (line === '') continue
    const [seq, prev, time, rollup, subject, json] = line.split('\t') as [
      string,
      string,
      string,
      string,
      string,
      string,
    ]
    const fields = { seq: Number(seq), prev: Number(prev), subject, time: Number(time), rollup: rollup === '1', json }
    entries.push(new Entry(fields))
  }
  return entries
}
