// Frames between a relay and a node, in both bodies of the protocol: one byte with the type, four bytes with the length of the
// payload (big-endian), the payload. `relay-server.ts` describes the requests.

/** The provider's status and headers, as JSON: `RelayHead`. It comes first, unless the request fails before. */
export const HEAD = 0x48
/** Bytes of the provider's body. */
export const DATA = 0x44
/** The provider's body is complete. Nothing follows. */
export const END = 0x45
/** The request or the body failed, as JSON: `RelayFault`. Nothing follows. */
export const FAULT = 0x46

export interface RelayHead {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
}

export interface RelayFault {
  /** The code of a socket error such as `ECONNRESET`, or one of the relay's own: see `PROVIDER_FAULTS`. */
  readonly code: string
  readonly message: string
}

/** The relay itself ended the stream. */
export const CLOSED: RelayFault = { code: 'relay_closed', message: 'The relay closed the stream.' }

const PREFIX_BYTES = 5
/** The payload of other frames than data, which is buffered. */
const MAX_JSON_BYTES = 1024 * 1024

export class RelayFrameError extends Error {
  override readonly name = 'RelayFrameError'
}

/** @returns the bytes before the payload */
export function framePrefix(type: number, bytes: number): Buffer {
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES)
  prefix[0] = type
  prefix.writeUInt32BE(bytes, 1)
  return prefix
}

export function jsonFrame(type: number, value: RelayHead | RelayFault): Buffer {
  const payload = Buffer.from(JSON.stringify(value))
  return Buffer.concat([framePrefix(type, payload.length), payload])
}

/** Splits received bytes into frames. The payload of a data frame is passed on in the parts in which it arrives. */
export class RelayFrameReader {
  /** The incomplete prefix, or the incomplete payload of a frame other than data. */
  #rest: Buffer = EMPTY
  /** Bytes of the current data frame that are still to come. */
  #dataLeft = 0

  /**
   * @param frame is called for each frame, or part of a data frame
   * @throws RelayFrameError on an unknown type or length
   */
  push(chunk: Buffer, frame: (type: number, payload: Buffer) => void): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = EMPTY
    while (bytes.length > 0) {
      if (this.#dataLeft > 0) {
        const part = bytes.subarray(0, this.#dataLeft)
        this.#dataLeft -= part.length
        bytes = bytes.subarray(part.length)
        frame(DATA, part)
        continue
      }
      if (bytes.length < PREFIX_BYTES) break
      const type = bytes[0] as number
      const length = bytes.readUInt32BE(1)
      const isKnown = type === DATA || ((type === HEAD || type === END || type === FAULT) && length <= MAX_JSON_BYTES)
      if (!isKnown) {
        throw new RelayFrameError('The relay sent a malformed frame.')
      }
      if (type === DATA) {
        this.#dataLeft = length
        bytes = bytes.subarray(PREFIX_BYTES)
        continue
      }
      if (bytes.length < PREFIX_BYTES + length) break
      frame(type, bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length))
      bytes = bytes.subarray(PREFIX_BYTES + length)
    }
    this.#rest = bytes
  }
}

const EMPTY = Buffer.alloc(0)
