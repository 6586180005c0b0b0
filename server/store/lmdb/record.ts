// How entries are stored, as text: a journal group (one commit's entries of many sessions) and a chunk (settled
// entries of one session). One line an entry, its JSON last; JSON.stringify leaves no raw tab or newline in it. Pure.
import { Entry, type Seq } from '../ports/entry.ts'

const GROUP_FORMAT = '1'

/** An entry and whose it is. */
export interface Placed {
  readonly session: string
  readonly entry: Entry
}

/** What is before an entry's JSON in its line, after `prev`. */
export function lineHead(session: string, subject: string, rollup: boolean): string {
  return ['\t', rollup ? '1' : '0', '\t', session, '\t', subject, '\t'].join('')
}

export interface EncodedGroup {
  readonly text: string
  /** Where in it each entry's JSON begins. */
  readonly starts: readonly number[]
}

/**
 * @param won entries of consecutive sequence numbers, all of the same time; with their `lineHead`, where it is at hand, of
 * an entry that is no roll-up
 */
export function encodeGroup(
  time: number,
  won: readonly { readonly place: { readonly session: string; readonly head?: string }; readonly entry: Entry }[],
): EncodedGroup {
  // Joined once: adding up strings makes a tree of small ones, which the collector pays for.
  const parts = new Array<string>(1 + won.length * PARTS)
  const starts = new Array<number>(won.length)
  const begin = `${GROUP_FORMAT}\t${time}\n`
  parts[0] = begin
  let length = begin.length
  for (let at = 0, part = 1; at < won.length; at += 1, part += PARTS) {
    const { place, entry } = won[at] as (typeof won)[number]
    const { rollup, subject, json } = entry
    const prev = String(entry.prev)
    const head = rollup || place.head === undefined ? lineHead(place.session, subject, rollup) : place.head
    length += prev.length + head.length
    starts[at] = length
    length += json.length + 1
    parts[part] = prev
    parts[part + 1] = head
    parts[part + 2] = json
    parts[part + 3] = '\n'
  }
  return { text: parts.join(''), starts }
}

/** Of a line. */
const PARTS = 4

/** @param first the sequence number of the group's first entry */
export function decodeGroup(first: Seq, bytes: Buffer): Placed[] {
  const lines = bytes.toString().split('\n')
  const [format, time] = (lines[0] as string).split('\t')
  if (format !== GROUP_FORMAT) throw new Error(`the journal has format ${format}, which this version does not read`)
  const placed: Placed[] = []
  for (let i = 1; i < lines.length - 1; i++) {
    const [prev, rollup, session, subject, json] = (lines[i] as string).split('\t') as [
      string,
      string,
      string,
      string,
      string,
    ]
    const seq = first + i - 1
    placed.push({
      session,
      entry: new Entry({
        seq,
        prev: Number(prev),
        subject,
        time: Number(time),
        rollup: rollup === '1',
        json,
      }),
    })
  }
  return placed
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
    entries.push(
      new Entry({
        seq: Number(seq),
        prev: Number(prev),
        subject,
        time: Number(time),
        rollup: rollup === '1',
        json,
      }),
    )
  }
  return entries
}
