// JournalFolder: the files of a journal as they are found when it is opened: what they hold that is not settled is read
// from the first to the last, and which of them can be written to again.
import { closeSync, constants, fsyncSync, openSync, readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Seq } from '../../ports/entry.ts'
import {
  findRecord,
  type JournalRecord,
  RECORD_HEADER,
  readRecord,
  readSegmentHeader,
  SEGMENT_HEADER,
} from './journal-record.ts'

/** Entries cannot be read that others follow. */
export class JournalDamaged extends Error {
  override readonly name = 'JournalDamaged'

  constructor(missing: Seq) {
    super(`the journal is damaged: entry ${missing} cannot be read, and later ones are there`)
  }
}

export interface Segment {
  readonly path: string
  readonly number: number
  readonly size: number
  readonly fd: number
  /** Where the next record goes. */
  end: number
  last: Seq
  /** A write at `end` failed, and may have left something there. */
  dirty: boolean
}

/** Not written to any more, until all of it is settled. */
export type Full = Pick<Segment, 'path' | 'size' | 'last'>
export type Spare = Pick<Segment, 'path' | 'size'>

/** What a folder held. */
export interface Found {
  readonly spares: Spare[]
  readonly full: Full[]
  readonly current: Segment | undefined
  readonly number: number
  readonly files: number
}

export function isSegment(name: string): boolean {
  return /^\d{6,}\.segment$/.test(name)
}

/**
 * @param segmentBytes of a file that may be used again
 * @param settled records up to here are passed over
 * @param replay called with each record after it, in order
 * @throws JournalDamaged
 */
export function findSegments(
  folder: string,
  segmentBytes: number,
  settled: Seq,
  replay: (record: JournalRecord) => void,
): Found {
  const names = readdirSync(folder).filter(isSegment)
  const spares: Spare[] = []
  const used: { path: string; number: number; bytes: Buffer }[] = []
  for (const name of names) {
    const path = join(folder, name)
    const bytes = readFileSync(path)
    const number = readSegmentHeader(bytes)
    if (number !== undefined) used.push({ path, number, bytes })
    else if (bytes.length === segmentBytes) spares.push({ path, size: bytes.length })
    // Half-made when the process was killed over it, or of another setting.
    else unlinkSync(path)
  }
  used.sort((a, b) => a.number - b.number)
  const full: (Full & { readonly number: number; readonly end: number })[] = []
  let expected = settled + 1
  for (const { path, number, bytes } of used) {
    let end = SEGMENT_HEADER
    let last = 0
    for (let record = readRecord(bytes, end, number); record !== undefined; record = readRecord(bytes, end, number)) {
      end += RECORD_HEADER + record.payload.length
      last = record.last
      if (last <= settled) continue
      if (record.first !== expected) throw new JournalDamaged(expected)
      replay(record)
      expected = last + 1
    }
    if ((findRecord(bytes, end, number)?.last ?? 0) > settled) throw new JournalDamaged(expected)
    full.push({ path, number, size: bytes.length, end, last })
  }
  const newest = full.pop()
  const flags = constants.O_RDWR | constants.O_DSYNC
  const current = newest === undefined ? undefined : { ...newest, fd: openSync(newest.path, flags), dirty: true }
  const files = names.reduce((most, name) => Math.max(most, Number.parseInt(name, 10)), 0)
  return { spares, full, current, number: newest?.number ?? 0, files }
}

/** A new file is durable when its folder's entry for it is. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
