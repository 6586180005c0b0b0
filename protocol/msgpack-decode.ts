// decodeMsgpack: strictly decodes untrusted MessagePack into JSON values. It rejects what lenient decoders accept:
// ill-formed UTF-8, extension types, binary, keys that are not strings, trailing bytes, and nesting beyond a limit.
// It never allocates memory for a length that exceeds the remaining data.
import { EXACT_VALUES, ExactNumber, TooManyValuesError } from './exact-json.ts'
import { keyValues } from './json/json-scan.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Up to this length, building an ASCII string by hand is faster than a TextDecoder. */
const SHORT_STRING = 24

export interface MsgpackLimits {
  /** Maximum nesting of arrays and maps. */
  readonly maxDepth: number
  /** Maximum number of keys and values in arrays and maps. */
  readonly maxValues: number
  /** Whether integers beyond 2^53 become an ExactNumber. */
  readonly exact: boolean
}

/** @throws TooManyValuesError; RangeError or TypeError if the bytes are not exactly one well-formed value */
export function decodeMsgpack(bytes: Uint8Array, limits: MsgpackLimits): unknown {
  const reader = new Reader(bytes, limits)
  const value = reader.value(0)
  if (!reader.atEnd) throw new RangeError('trailing bytes after the value')
  return value
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #maxDepth: number
  readonly #exact: boolean
  #valuesLeft: number
  #at = 0

  constructor(bytes: Uint8Array, { maxDepth, maxValues, exact }: MsgpackLimits) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#maxDepth = maxDepth
    this.#valuesLeft = maxValues
    this.#exact = exact
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  value(depth: number): unknown {
    const head = this.#view.getUint8(this.#skip(1))
    if (head < 0x80) return head
    if (head >= 0xe0) return head - 0x100
    if (head < 0x90) return this.#map(head & 0x0f, depth)
    if (head < 0xa0) return this.#array(head & 0x0f, depth)
    if (head < 0xc0) return this.#string(head & 0x1f)
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return this.#view.getFloat32(this.#skip(4))
      case 0xcb:
        return this.#view.getFloat64(this.#skip(8))
      case 0xcc:
        return this.#view.getUint8(this.#skip(1))
      case 0xcd:
        return this.#view.getUint16(this.#skip(2))
      case 0xce:
        return this.#view.getUint32(this.#skip(4))
      case 0xcf:
        return this.#wide(this.#view.getBigUint64(this.#skip(8)))
      case 0xd0:
        return this.#view.getInt8(this.#skip(1))
      case 0xd1:
        return this.#view.getInt16(this.#skip(2))
      case 0xd2:
        return this.#view.getInt32(this.#skip(4))
      case 0xd3:
        return this.#wide(this.#view.getBigInt64(this.#skip(8)))
      case 0xd9:
        return this.#string(this.#view.getUint8(this.#skip(1)))
      case 0xda:
        return this.#string(this.#view.getUint16(this.#skip(2)))
      case 0xdb:
        return this.#string(this.#view.getUint32(this.#skip(4)))
      case 0xdc:
        return this.#array(this.#view.getUint16(this.#skip(2)), depth)
      case 0xdd:
        return this.#array(this.#view.getUint32(this.#skip(4)), depth)
      case 0xde:
        return this.#map(this.#view.getUint16(this.#skip(2)), depth)
      case 0xdf:
        return this.#map(this.#view.getUint32(this.#skip(4)), depth)
      default:
        throw new TypeError('binary data and extension types are not part of the protocol')
    }
  }

  #wide(value: bigint): number | ExactNumber {
    const number = Number(value)
    if (!this.#exact || Number.isSafeInteger(number)) return number
    this.#count(EXACT_VALUES)
    return new ExactNumber(String(value))
  }

  /** Advances by `length` bytes. @returns the offset at which they start */
  #skip(length: number): number {
    const start = this.#at
    if (length > this.#bytes.length - start) throw new RangeError('the value is truncated')
    this.#at = start + length
    return start
  }

  /** Each element takes at least one byte, so a length beyond the remaining data is rejected before any work. */
  #enter(least: number, depth: number): void {
    if (depth >= this.#maxDepth) throw new RangeError('nested too deeply')
    if (least > this.#bytes.length - this.#at) throw new RangeError('the value is truncated')
    // An empty one counts, too.
    this.#count(Math.max(1, least))
  }

  #count(values: number): void {
    this.#valuesLeft -= values
    if (this.#valuesLeft < 0) throw new TooManyValuesError()
  }

  #array(length: number, depth: number): unknown[] {
    this.#enter(length, depth)
    const array: unknown[] = []
    for (let i = 0; i < length; i += 1) array.push(this.value(depth + 1))
    return array
  }

  #map(size: number, depth: number): Record<string, unknown> {
    this.#enter(size * 2, depth)
    const map: Record<string, unknown> = {}
    for (let i = 0; i < size; i += 1) {
      const key = this.value(depth + 1)
      if (typeof key !== 'string') throw new TypeError('a key is not a string')
      // The key and its value are counted already.
      this.#count(keyValues(key.length) - 1)
      const value = this.value(depth + 1)
      // Like JSON.parse: an assignment would set the object's prototype instead.
      if (key === '__proto__')
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
      else map[key] = value
    }
    return map
  }

  #string(length: number): string {
    const start = this.#skip(length)
    const end = start + length
    if (length > SHORT_STRING) return utf8.decode(this.#bytes.subarray(start, end))
    let text = ''
    for (let i = start; i < end; i += 1) {
      const byte = this.#bytes[i] as number
      if (byte > 0x7f) return utf8.decode(this.#bytes.subarray(start, end))
      text += String.fromCharCode(byte)
    }
    return text
  }
}
