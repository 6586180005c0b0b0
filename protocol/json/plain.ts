// plain: converts a value to what JSON would encode, for MessagePack, which can encode more. A value that is already plain
// is returned unchanged, so that most frames are not copied.

import { ExactNumber } from '../exact-json.ts'

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const UINT32_MAX = 2 ** 32 - 1
const INT32_MIN = -(2 ** 31)

interface WellFormed {
  isWellFormed?(): boolean
  toWellFormed?(): string
}

/**
 * Omits undefined fields, replaces values that JSON cannot represent with null, calls `toJSON`, and replaces lone
 * surrogates, which UTF-8 cannot encode, with U+FFFD.
 * @param number converts finite numbers
 * @throws TypeError for a bigint, like JSON.stringify
 */
export function plain(value: unknown, number: (value: number | ExactNumber) => unknown): unknown {
  switch (typeof value) {
    case 'string':
      return wellFormed(value)
    case 'number':
      return Number.isFinite(value) ? number(value) : null
    case 'boolean':
      return value
    case 'object':
      if (value === null) return null
      if (Array.isArray(value)) return plainArray(value, number)
      if (value instanceof ExactNumber) return number(value)
      if ('toJSON' in value && typeof value.toJSON === 'function') return plain(value.toJSON(), number)
      return plainObject(value as Record<string, unknown>, number)
    case 'bigint':
      throw new TypeError('cannot encode a bigint')
    default:
      return null
  }
}

/**
 * Whole numbers beyond 32 bits become bigints, because msgpackr writes such numbers as float64, which typed decoders (Go,
 * Rust, Java) refuse for an integer field.
 */
export function asMsgpackNumber(value: number | ExactNumber): unknown {
  if (value instanceof ExactNumber) return value.toMsgpack()
  return Number.isSafeInteger(value) && (value > UINT32_MAX || value < INT32_MIN) ? BigInt(value) : value
}

function plainArray(array: readonly unknown[], number: (value: number | ExactNumber) => unknown): readonly unknown[] {
  let copy: unknown[] | undefined
  for (let i = 0; i < array.length; i += 1) {
    const item = plain(array[i], number)
    if (copy === undefined && !Object.is(item, array[i])) copy = array.slice(0, i)
    copy?.push(item)
  }
  return copy ?? array
}

/** Copies in one pass, and only from the first field that differs. */
function plainObject(
  object: Record<string, unknown>,
  number: (value: number | ExactNumber) => unknown,
): Record<string, unknown> {
  const keys = Object.keys(object)
  let copy: Record<string, unknown> | undefined = isPlain(object) ? undefined : {}
  for (const [index, key] of keys.entries()) {
    const value = object[key]
    const omitted = value === undefined || typeof value === 'function' || typeof value === 'symbol'
    const item = omitted ? undefined : plain(value, number)
    const name = wellFormed(key)
    if (copy === undefined && (omitted || name !== key || !Object.is(item, value))) {
      copy = {}
      for (const earlier of keys.slice(0, index)) copy[earlier] = object[earlier]
    }
    if (copy !== undefined && !omitted) copy[name] = item
  }
  return copy ?? object
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object)
  return prototype === Object.prototype || prototype === null
}

function wellFormed(text: string): string {
  // Engines since 2023 have these methods; the pattern supports older ones.
  const native = text as WellFormed
  if (native.isWellFormed?.() === true) return text
  return native.toWellFormed?.() ?? text.replace(LONE_SURROGATE, '\ufffd')
}
