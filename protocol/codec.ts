// Codecs: one WebSocket message holds one frame or an array of frames, as JSON text or as
// MessagePack. MessagePack is written as plain maps, so that any language's decoder reads it.
import { Packr } from 'msgpackr'
import type { CodecName } from './subprotocol.ts'

export interface Codec {
  readonly name: CodecName
  /** Whether its messages are binary WebSocket messages. */
  readonly binary: boolean
  encode(value: unknown): string | Uint8Array
  /** @throws SyntaxError when the data is not in this codec */
  decode(data: string | ArrayBuffer | Uint8Array): unknown
}

// variableMapSize keeps maps at their least size, as other encoders write them; 53-bit numbers stay
// numbers (int64 would decode as a bigint elsewhere), undefined fields are left out below.
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  encodeUndefinedAsNil: true,
  int64AsType: 'number',
  mapsAsObjects: true,
})

const utf8 = new TextDecoder('utf-8', { fatal: true })

export const jsonCodec: Codec = {
  name: 'json',
  binary: false,
  encode: (value) => JSON.stringify(value),
  decode(data) {
    try {
      return JSON.parse(typeof data === 'string' ? data : utf8.decode(data))
    } catch (cause) {
      throw new SyntaxError('not JSON in UTF-8', { cause })
    }
  },
}

export const msgpackCodec: Codec = {
  name: 'msgpack',
  binary: true,
  encode: (value) => packr.pack(value),
  decode(data) {
    if (typeof data === 'string') throw new SyntaxError('MessagePack is binary')
    try {
      return packr.unpack(data instanceof Uint8Array ? data : new Uint8Array(data))
    } catch (cause) {
      throw new SyntaxError('not MessagePack', { cause })
    }
  },
}

export const codecs: Readonly<Record<CodecName, Codec>> = { json: jsonCodec, msgpack: msgpackCodec }
