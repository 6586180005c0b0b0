// JournalRecord: the format of a commit in a journal segment. A checksum of the whole record tells it from a torn one,
// and the segment's number tells it from a record of an earlier use of the same file. Pure.
import { crc32 } from 'node:zlib'
import type { Seq } from '../../ports/entry.ts'

/** One commit: entries of consecutive sequence numbers, as the log encoded them. */
export interface JournalRecord {
  readonly first: Seq
  readonly last: Seq
  readonly payload: Buffer
}

/** `PjR1`; then, little-endian: payload bytes, segment number, first sequence number, number of entries, checksum. */
const RECORD_MARK = 0x31526a50
export const RECORD_HEADER = 28
/** `PjS1`, the segment number, the checksum. */
const SEGMENT_MARK = 0x31536a50
export const SEGMENT_HEADER = 12

export function writeSegmentHeader(buffer: Buffer, segment: number): void {
  buffer.writeUInt32LE(SEGMENT_MARK, 0)
  buffer.writeUInt32LE(segment, 4)
  buffer.writeUInt32LE(crc32(buffer.subarray(0, 8)), 8)
}

/** @returns the segment's number; undefined if the file was never used, or is damaged */
export function readSegmentHeader(buffer: Buffer): number | undefined {
  if (buffer.length < SEGMENT_HEADER || buffer.readUInt32LE(0) !== SEGMENT_MARK) return undefined
  if (buffer.readUInt32LE(8) !== crc32(buffer.subarray(0, 8))) return undefined
  return buffer.readUInt32LE(4)
}

/** Writes the header of a record whose payload is already in the buffer, after the space for the header. */
export function writeRecordHeader(
  buffer: Buffer,
  at: number,
  segment: number,
  first: Seq,
  count: number,
  payloadBytes: number,
): void {
  buffer.writeUInt32LE(RECORD_MARK, at)
  buffer.writeUInt32LE(payloadBytes, at + 4)
  buffer.writeUInt32LE(segment, at + 8)
  buffer.writeDoubleLE(first, at + 12)
  buffer.writeUInt32LE(count, at + 20)
  buffer.writeUInt32LE(checksum(buffer, at, payloadBytes), at + 24)
}

/** @returns the record at `at`; undefined if there is no whole record of this segment */
export function readRecord(buffer: Buffer, at: number, segment: number): JournalRecord | undefined {
  const from = at + RECORD_HEADER
  if (from > buffer.length || buffer.readUInt32LE(at) !== RECORD_MARK) return undefined
  const bytes = buffer.readUInt32LE(at + 4)
  if (buffer.readUInt32LE(at + 8) !== segment || from + bytes > buffer.length) return undefined
  if (buffer.readUInt32LE(at + 24) !== checksum(buffer, at, bytes)) return undefined
  const first = buffer.readDoubleLE(at + 12)
  return { first, last: first + buffer.readUInt32LE(at + 20) - 1, payload: buffer.subarray(from, from + bytes) }
}

/**
 * Searches for a whole record of the segment anywhere from `at` on. It finds one only if a record before it is damaged.
 */
export function findRecord(buffer: Buffer, at: number, segment: number): JournalRecord | undefined {
  const mark = Buffer.alloc(4)
  mark.writeUInt32LE(RECORD_MARK)
  for (let next = buffer.indexOf(mark, at); next >= 0; next = buffer.indexOf(mark, next + 1)) {
    const record = readRecord(buffer, next, segment)
    if (record !== undefined) return record
  }
  return undefined
}

function checksum(buffer: Buffer, at: number, payloadBytes: number): number {
  const from = at + RECORD_HEADER
  return crc32(buffer.subarray(from, from + payloadBytes), crc32(buffer.subarray(at, at + 24)))
}
