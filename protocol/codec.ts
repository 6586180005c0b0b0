// Codecs: encode one frame, or an array of frames, as one WebSocket message in JSON or MessagePack. Both carry the
// same values: MessagePack is written as plain maps without extension types, so that any language's decoder reads it.
// Decoding is strict, because the input is untrusted.
import { Packr } from 'msgpackr'
import { EXACT_VALUES, parseJsonInPasses, TooManyValuesError } from './exact-json.ts'
import { type JsonLimits, jsonSize } from './json/json-scan.ts'
import { asMsgpackNumber, plain } from './json/plain.ts'
import { LIMITS } from './limits.ts'
import { decodeMsgpack } from './msgpack-decode.ts'
import type { CodecName } from './subprotocol.ts'

export interface Codec {
  readonly name: CodecName
  /** Whether its messages are binary WebSocket messages. */
  readonly binary: boolean
  encode(value: unknown): string | Uint8Array
  /**
   * @throws SyntaxError if the data is not valid in this codec, is not UTF-8, or is nested too deeply
   * @throws TooManyValuesError
   */
  decode(data: string | ArrayBuffer | Uint8Array, options?: DecodeOptions): unknown
}

/** By default, the depth is at most `LIMITS.depth`, and the number of values has no limit. */
export interface DecodeOptions extends Partial<JsonLimits> {
  /** Numbers that JavaScript would round become an ExactNumber, for values that pass through. */
  readonly exact?: boolean
}

// variableMapSize writes maps in their shortest form, as other encoders do.
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true })

const utf8 = new TextDecoder('utf-8', { fatal: true })

export const jsonCodec: Codec = {
  name: 'json',
  binary: false,
  encode: (value) => JSON.stringify(value),
  decode(data, options) {
    const passes = decodeJsonInPasses(data, options)
    for (;;) {
      const { done, value } = passes.next()
      if (done === true) return value
    }
  },
}

/** Decodes like `jsonCodec`, in several passes: between them the event loop can serve others. @throws SyntaxError, TooManyValuesError */
export function* decodeJsonInPasses(
  data: string | ArrayBuffer | Uint8Array,
  { maxDepth = LIMITS.depth, maxValues = Number.POSITIVE_INFINITY, exact = false }: DecodeOptions = {},
): Generator<void, unknown> {
  try {
    const text = typeof data === 'string' ? data : utf8.decode(data)
    yield
    const { values, depth } = jsonSize(text, { maxDepth, maxValues })
    if (values > maxValues) throw new TooManyValuesError()
    if (depth <= maxDepth) {
      yield
      return exact ? yield* parseJsonInPasses(text, (maxValues - values) / EXACT_VALUES) : JSON.parse(text)
    }
  } catch (cause) {
    if (cause instanceof TooManyValuesError) throw cause
    throw new SyntaxError('not JSON in UTF-8', { cause })
  }
  throw new SyntaxError('nested too deeply')
}

export const msgpackCodec: Codec = {
  name: 'msgpack',
  binary: true,
  encode: (value) => packr.pack(plain(value, asMsgpackNumber)),
  decode(data, { maxDepth = LIMITS.depth, maxValues = Number.POSITIVE_INFINITY, exact = false } = {}) {
    if (typeof data === 'string') throw new SyntaxError('MessagePack is binary')
    try {
      return decodeMsgpack(data instanceof Uint8Array ? data : new Uint8Array(data), { maxDepth, maxValues, exact })
    } catch (cause) {
      if (cause instanceof TooManyValuesError) throw cause
      throw new SyntaxError('not MessagePack', { cause })
    }
  },
}

export const codecs: Readonly<Record<CodecName, Codec>> = { json: jsonCodec, msgpack: msgpackCodec }
