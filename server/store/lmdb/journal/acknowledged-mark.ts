// AcknowledgedMark: a small file with the last acknowledged sequence number. It is written before each acknowledgement,
// but not flushed: it survives a killed process, and after a power loss it may be older. If the journal ends before it,
// the end of the journal is damaged and not just torn.
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Seq } from '../../ports/entry.ts'

const NAME = 'acknowledged'
/** Little-endian: the sequence number (8 bytes), the checksum (4 bytes). */
const BYTES = 12

export class AcknowledgedMark {
  readonly #fd: number
  readonly #buffer = Buffer.alloc(BYTES)

  constructor(folder: string) {
    this.#fd = openSync(join(folder, NAME), constants.O_RDWR | constants.O_CREAT)
  }

  /** 0 if the mark is missing or unreadable: then it proves nothing. */
  read(): Seq {
    const buffer = Buffer.alloc(BYTES)
    if (readSync(this.#fd, buffer, 0, BYTES, 0) < BYTES) return 0
    return buffer.readUInt32LE(8) === crc32(buffer.subarray(0, 8)) ? buffer.readDoubleLE(0) : 0
  }

  write(seq: Seq): void {
    this.#buffer.writeDoubleLE(seq, 0)
    this.#buffer.writeUInt32LE(crc32(this.#buffer.subarray(0, 8)), 8)
    try {
      writeSync(this.#fd, this.#buffer, 0, BYTES, 0)
    } catch {
      // The record is on disk. An older mark only detects less, so the append must not fail. The next one writes it again.
    }
  }

  close(): void {
    closeSync(this.#fd)
  }
}
