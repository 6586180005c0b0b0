// Journal: the commits of the embedded log that are not settled yet, in files of fixed size that are written from front
// to back and used again. `append` is done when the record is on disk (O_DSYNC, into space that is already the file's,
// so one write is one flush). Measured beside a put in LMDB: 0.1 against 0.25 ms of CPU, 0.2 against 0.4 ms of time.
//
//   spare ──(the current one is full)──► current ──► full ──(all of it settled)──► spare
import { closeSync, constants, openSync, readdirSync, unlinkSync, write, writeSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Seq } from '../../ports/entry.ts'
import { StorageError } from '../../ports/errors.ts'
import { stallTolerantTimeout } from '../../stall-tolerant-timeout.ts'
import {
  type Found,
  type Full,
  findSegments,
  isSegment,
  type Segment,
  type Spare,
  syncFolder,
} from './journal-folder.ts'
import {
  type JournalRecord,
  RECORD_HEADER,
  SEGMENT_HEADER,
  writeRecordHeader,
  writeSegmentHeader,
} from './journal-record.ts'

export interface JournalOptions {
  /** Made when it is not there. */
  readonly folder: string
  /** Bytes of one file; a larger record gets a larger one. */
  readonly segmentBytes: number
  /** Milliseconds after which a write that neither succeeded nor failed breaks the journal; default 60,000. */
  readonly writeTimeoutMs?: number
  /** Told when it is broken: until the folder is opened again nothing can be written. */
  readonly broken?: ((error: Error) => void) | undefined
}

/** Files that are kept for later use. */
const SPARES = 2
const ZEROS = Buffer.alloc(256 * 1024)
const BUFFER_BYTES = 256 * 1024
const FULL_CODES: ReadonlySet<unknown> = new Set(['ENOSPC', 'EFBIG', 'EDQUOT'])

/** A disk that answers so fast (milliseconds), so often in a row, is waited for: a thread would cost more than the wait. */
const FAST_MS = 0.8
const FAST_WRITES = 16
/** A wait of more than this, and the next writes are a thread's again. */
const SLOW_MS = 2

export class Journal {
  readonly #options: JournalOptions
  readonly #spares: Spare[]
  readonly #full: Full[]
  #current: Segment | undefined
  #number: number
  #files: number
  #making: Promise<Spare> | undefined
  #state: 'open' | 'broken' | 'closed' = 'open'
  #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  #fastWrites = 0
  /** An append that is under way. */
  #writing: Promise<void> | undefined

  private constructor(options: JournalOptions, found: Found) {
    this.#options = options
    this.#spares = found.spares
    this.#full = found.full
    this.#current = found.current
    this.#number = found.number
    this.#files = found.files
  }

  /**
   * @param settled everything up to here is settled: records of that are passed over
   * @param replay called with each record after it, in order
   * @throws JournalDamaged when a record cannot be read that others follow; StorageError when no file can be made
   */
  static async open(options: JournalOptions, settled: Seq, replay: (record: JournalRecord) => void): Promise<Journal> {
    await mkdir(options.folder, { recursive: true })
    syncFolder(options.folder)
    const journal = new Journal(options, findSegments(options.folder, options.segmentBytes, settled, replay))
    if (journal.#current === undefined && journal.#spares.length === 0) {
      journal.#spares.push(await journal.#make(options.segmentBytes))
    }
    return journal
  }

  /** Whether the folder holds a journal. */
  static exists(folder: string): boolean {
    try {
      return readdirSync(folder).some(isSegment)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw error
    }
  }

  /**
   * One at a time. @param first the number of the first of `count` entries, which follows the last one's
   * @returns undefined when it is on disk already, else a promise of that
   * @throws StorageError, or rejects with it: then the next append takes its place
   */
  append(first: Seq, count: number, text: string): Promise<void> | undefined {
    const written = this.#append(first, count, text)
    if (written === undefined) return undefined
    const ended = (): void => {
      this.#writing = undefined
    }
    this.#writing = written
    written.then(ended, ended)
    return written
  }

  #append(first: Seq, count: number, text: string): Promise<void> | undefined {
    if (this.#state !== 'open') throw new StorageError('unavailable')
    const current = this.#current
    const bytes = this.#fill(text)
    if (current === undefined || current.end + RECORD_HEADER + bytes > current.size) {
      return this.#rotate(SEGMENT_HEADER + RECORD_HEADER + bytes).then((next) => {
        this.#current = next
        return this.#write(next, first, count, bytes)
      })
    }
    return this.#write(current, first, count, bytes)
  }

  /** Everything up to `to` is settled. */
  drop(to: Seq): void {
    while ((this.#full[0]?.last ?? Number.POSITIVE_INFINITY) <= to) {
      const { path, size } = this.#full.shift() as Full
      const isSpare = this.#spares.length < SPARES && size === this.#options.segmentBytes
      // What cannot be removed is used again.
      if (isSpare || !removed(path)) this.#spares.push({ path, size })
    }
  }

  /** The file that is written to is written to no more: what comes next goes into another one. */
  async retire(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing.catch(() => undefined)
    const current = this.#current
    if (this.#state !== 'open' || current === undefined || current.end === 0) return
    endCleanly(current)
    closeSync(current.fd)
    this.#full.push(current)
    this.#current = undefined
  }

  /** Removes the files that wait to be used again, with what they held; never the last one. @throws StorageError */
  async discard(): Promise<void> {
    if (this.#state !== 'open') return
    const fresh = await this.#make(this.#options.segmentBytes)
    const old = this.#spares.splice(0)
    this.#spares.push(fresh, ...old.filter(({ path }) => !removed(path)))
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    await this.#making?.catch(() => undefined)
    if (this.#current !== undefined) closeSync(this.#current.fd)
    this.#current = undefined
  }

  /** Puts the payload into the buffer, behind room for both headers. @returns its bytes */
  #fill(text: string): number {
    const most = SEGMENT_HEADER + RECORD_HEADER + text.length * 3
    if (most > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(most)
    return this.#buffer.write(text, SEGMENT_HEADER + RECORD_HEADER)
  }

  #write(segment: Segment, first: Seq, count: number, payloadBytes: number): Promise<void> | undefined {
    writeRecordHeader(this.#buffer, SEGMENT_HEADER, segment.number, first, count, payloadBytes)
    // The first record of a segment brings the segment's own header along.
    const isFirst = segment.end === 0
    if (isFirst) writeSegmentHeader(this.#buffer, segment.number)
    const from = isFirst ? 0 : SEGMENT_HEADER
    const to = SEGMENT_HEADER + RECORD_HEADER + payloadBytes
    const done = (): void => {
      segment.dirty = false
      segment.end += to - from
      segment.last = first + count - 1
      if (this.#buffer.length > BUFFER_BYTES) this.#buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
    }
    segment.dirty = true
    const started = performance.now()
    if (this.#fastWrites < FAST_WRITES) {
      return this.#writeOnThread(segment, from, to).then(() => {
        this.#fastWrites = performance.now() - started < FAST_MS ? this.#fastWrites + 1 : 0
        done()
      })
    }
    writeWhole(segment.fd, this.#buffer, from, to, segment.end)
    if (performance.now() - started > SLOW_MS) this.#fastWrites = 0
    done()
    return undefined
  }

  #writeOnThread(segment: Segment, from: number, to: number): Promise<void> {
    const timeoutMs = this.#options.writeTimeoutMs ?? 60_000
    return new Promise<void>((resolve, reject) => {
      // What became of it is then unknown, so nothing may be written until the folder is opened again.
      const answered = stallTolerantTimeout(timeoutMs, () => {
        this.#state = 'broken'
        const error = new Error(`a write took more than ${timeoutMs} ms`)
        reject(new StorageError('unavailable', error))
        this.#options.broken?.(error)
      })
      const step = (at: number): void => {
        write(segment.fd, this.#buffer, at, to - at, segment.end + at - from, (error, written) => {
          if (error === null && at + written < to) return step(at + written)
          answered()
          if (error === null) resolve()
          else reject(failure(error))
        })
      }
      step(from)
    })
  }

  /** The next segment, with room for so many bytes. */
  async #rotate(bytes: number): Promise<Segment> {
    const before = this.#current
    if (before !== undefined) endCleanly(before)
    const spare = await this.#takeSpare(bytes)
    let fd: number
    try {
      fd = openSync(spare.path, constants.O_RDWR | constants.O_DSYNC)
    } catch (error) {
      this.#spares.push(spare)
      throw failure(error)
    }
    if (before !== undefined) {
      closeSync(before.fd)
      this.#full.push(before)
    }
    this.#number += 1
    if (this.#spares.length === 0 && this.#making === undefined) this.#prepare()
    return { ...spare, number: this.#number, fd, end: 0, last: 0, dirty: false }
  }

  async #takeSpare(bytes: number): Promise<Spare> {
    const { segmentBytes } = this.#options
    if (bytes > segmentBytes) return this.#make(bytes)
    const spare = this.#spares.shift()
    if (spare !== undefined) return spare
    const making = this.#making
    this.#making = undefined
    return making ?? this.#make(segmentBytes)
  }

  /** Makes a spare ahead of time, so that nobody waits for it; if that fails, whoever needs it tries again. */
  #prepare(): void {
    const making = this.#make(this.#options.segmentBytes)
    this.#making = making
    const forget = (): void => {
      this.#making = undefined
    }
    making.then((spare) => {
      // Unless a rotation waited for it.
      if (this.#making !== making) return
      forget()
      this.#spares.push(spare)
    }, forget)
  }

  /** A file of zeros, whose blocks are its own: writing to it later changes nothing but its content. */
  async #make(size: number): Promise<Spare> {
    this.#files += 1
    const path = join(this.#options.folder, `${String(this.#files).padStart(6, '0')}.segment`)
    try {
      const file = await open(path, 'wx')
      try {
        for (let at = 0; at < size; at += ZEROS.length) {
          await file.write(ZEROS, 0, Math.min(ZEROS.length, size - at), at)
        }
        await file.sync()
      } finally {
        await file.close()
      }
      syncFolder(this.#options.folder)
      return { path, size }
    } catch (error) {
      removed(path)
      throw failure(error)
    }
  }
}

function writeWhole(fd: number, buffer: Buffer, from: number, to: number, position: number): void {
  try {
    for (let at = from; at < to; ) at += writeSync(fd, buffer, at, to - at, position + at - from)
  } catch (error) {
    throw failure(error)
  }
}

/** What a failed write left behind its end must not be taken for what the next segment begins with. */
function endCleanly({ dirty, fd, size, end }: Segment): void {
  if (dirty) writeWhole(fd, ZEROS, 0, Math.min(SEGMENT_HEADER + RECORD_HEADER, size - end), end)
}

/** @returns whether it is not there any more */
function removed(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

function failure(error: unknown): StorageError {
  const full = FULL_CODES.has((error as NodeJS.ErrnoException).code)
  return new StorageError(full ? 'full' : 'unavailable', error)
}
