// JournalFolder: the scan of a journal's files when it is opened. It replays the records that are not in a checkpoint,
// in order, and determines which files can be written to again.
import { closeSync, constants, fstatSync, fsyncSync, openSync, readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Seq } from '../../ports/entry.ts'
import type { FilePlace } from '../data-folder-watch.ts'
import {
  findRecord,
  type JournalRecord,
  RECORD_HEADER,
  readRecord,
  readSegmentHeader,
  SEGMENT_HEADER,
} from './journal-record.ts'

/** Acknowledged entries are unreadable: this is more than the torn end of the journal. */
export class JournalDamaged extends Error {
  override readonly name = 'JournalDamaged'

  constructor(problem: string) {
    super(`the journal is damaged: ${problem}. Restore the whole data folder from a backup`)
  }

  static missing(entry: Seq): JournalDamaged {
    return new JournalDamaged(`entry ${entry} is unreadable, but later entries exist`)
  }

  static end(entry: Seq, acknowledged: Seq): JournalDamaged {
    return new JournalDamaged(`entries ${entry} to ${acknowledged} were acknowledged, but are unreadable`)
  }
}

/** The file that the journal writes to. */
export interface OpenSegment {
  readonly path: string
  readonly number: number
  readonly size: number
  readonly fd: number
  /** Identifies the open file. */
  readonly file: FilePlace['file']
  /** The position of the next record. */
  end: number
  last: Seq
  /** A write at `end` failed or is in flight, so there may be bytes after `end`. */
  dirty: boolean
}

/** A file that is kept until a checkpoint has all its entries. */
export type FullSegment = Pick<OpenSegment, 'path' | 'size' | 'last'>
/** A file that can be used next. */
export type SpareSegment = Pick<OpenSegment, 'path' | 'size'>

/** The files of a folder. */
export interface JournalFiles {
  readonly spares: SpareSegment[]
  readonly full: FullSegment[]
  readonly current: OpenSegment | undefined
  /** The highest segment number. */
  readonly number: number
  /** The highest number in a file name. */
  readonly files: number
}

export function isSegment(name: string): boolean {
  return /^\d{6,}\.segment$/.test(name)
}

/**
 * @param segmentBytes size of a file that may be reused
 * @param checkpointed skips the records up to here
 * @param replay called with each later record, in order
 * @throws JournalDamaged
 */
export function scanFolder(
  folder: string,
  segmentBytes: number,
  checkpointed: Seq,
  replay: (record: JournalRecord) => void,
): JournalFiles {
  const names = readdirSync(folder).filter(isSegment)
  const spares: SpareSegment[] = []
  const used: { path: string; number: number; bytes: Buffer }[] = []
  for (const name of names) {
    const path = join(folder, name)
    const bytes = readFileSync(path)
    const number = readSegmentHeader(bytes)
    if (number !== undefined) used.push({ path, number, bytes })
    // A file gets its header before its first record, so anything but zeros has lost its header.
    else if (!isZero(bytes)) throw new JournalDamaged(`the head of ${name} is unreadable`)
    else if (bytes.length === segmentBytes) spares.push({ path, size: bytes.length })
    // The process was killed while it created the file, or the size was configured differently.
    else unlinkSync(path)
  }
  used.sort((a, b) => a.number - b.number)
  const full: (FullSegment & { readonly number: number; readonly end: number })[] = []
  let expected = checkpointed + 1
  for (const { path, number, bytes } of used) {
    let end = SEGMENT_HEADER
    let last = 0
    for (let record = readRecord(bytes, end, number); record !== undefined; record = readRecord(bytes, end, number)) {
      end += RECORD_HEADER + record.payload.length
      last = record.last
      if (last <= checkpointed) continue
      if (record.first !== expected) throw JournalDamaged.missing(expected)
      replay(record)
      expected = last + 1
    }
    if ((findRecord(bytes, end, number)?.last ?? 0) > checkpointed) throw JournalDamaged.missing(expected)
    full.push({ path, number, size: bytes.length, end, last })
  }
  const newest = full.pop()
  const current = newest === undefined ? undefined : { ...newest, ...openFile(newest.path), dirty: true }
  const files = names.reduce((most, name) => Math.max(most, Number.parseInt(name, 10)), 0)
  return { spares, full, current, number: newest?.number ?? 0, files }
}

function isZero(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes[0] === 0 && bytes.subarray(1).equals(bytes.subarray(0, -1)))
}

/** Opens a file for writes that are durable when they return. @throws Error of the system */
export function openFile(path: string): Pick<OpenSegment, 'fd' | 'file'> {
  const fd = openSync(path, constants.O_RDWR | constants.O_DSYNC)
  return { fd, file: fstatSync(fd) }
}

/** Makes the creation of files durable: a new file needs a durable entry in its folder. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
