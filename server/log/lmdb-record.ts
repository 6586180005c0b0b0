// How entries are stored, as text: a journal group (one commit's entries of many sessions) and a chunk (settled
// entries of one session). One line an entry, its JSON last; JSON.stringify leaves no raw tab or newline in it. Pure.
import { Entry, type Seq } from './entry.ts'

const GROUP_FORMAT = '1'

/** An entry and whose it is. */
export interface Placed {
  readonly session: string
  readonly entry: Entry
}

/** @param won entries of consecutive sequence numbers, all of the same time */
export function encodeGroup(
  time: number,
  won: readonly { readonly place: { readonly session: string }; readonly entry: Entry }[],
): string {
  // Joined once: adding up strings makes a tree of small ones, which the collector pays for.
  const parts: (string | number)[] = [`${GROUP_FORMAT}\t${time}\n`]
  for (const { place, entry } of won) {
    const { prev, rollup, subject, json } = entry
    parts.push(prev, rollup ? '\t1\t' : '\t0\t', place.session, '\t', subject, '\t', json, '\n')
  }
  return parts.join('')
}

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
