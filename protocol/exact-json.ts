// Exact JSON: numbers that a double cannot hold keep their digits in values that only pass through, such as tool inputs and results.
// JSON does not limit numbers (RFC 8259, section 6), and other languages have integers of 64 bits; JSON.parse rounds
// 12345678901234567890 without an error. Node 22 could do this with JSON.rawJSON and the source text of a reviver.
import type { z } from 'zod'
import { endOfString } from './json/json-scan.ts'

/** While `stringifyJson` runs, `toJSON` writes marked strings. */
let marks = false
/** Set by `toJSON`, so that `stringifyJson` costs nothing for values without such numbers. */
let wasMarked = false

/** A number of a JSON text or of MessagePack that JavaScript would round. JSON.stringify writes the rounded number. */
export class ExactNumber {
  readonly source: string

  /** @param source the number in JSON's syntax */
  constructor(source: string) {
    this.source = source
  }

  toJSON(): number | string {
    if (!marks) return Number(this.source)
    wasMarked = true
    return MARK + this.source
  }

  /** MessagePack has integers of 64 bits. Others are rounded. */
  toMsgpack(): bigint | number {
    // A BigInt of many digits takes long.
    if (this.source.length > 20 || !WHOLE.test(this.source)) return Number(this.source)
    const value = BigInt(this.source)
    return value >= -(2n ** 63n) && value < 2n ** 64n ? value : Number(this.source)
  }
}

/** Digits of a decimal fraction that a double keeps, and that `%.17g` prints. */
const DOUBLE_DIGITS = 17
const WHOLE = /^-?\d+$/
/** `1e309` is beyond a double. */
const SHORTEST_ROUNDED = 5
const [BACKSLASH, QUOTE, ZERO, NINE, LARGE_E, SMALL_E] = [0x5c, 0x22, 0x30, 0x39, 0x45, 0x65]
const COLON = 0x3a
const WHITE_SPACE = new Set([0x20, 0x09, 0x0a, 0x0d])
/** Like NUMBER, without zeros at the beginning. */
const NUMERAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/
const NUMBER = String.raw`-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?`
/** Matches every text that contains such a number; few others do. */
const SUSPECT = /\d[\d.]{15}|[\s[:,]-?\d[\d.]*[eE]\+?\d{3}/
/** The characters of numbers. */
const IS_NUMERIC = new Uint8Array(0x1_0000)
for (const char of '-+.0123456789eE') IS_NUMERIC[char.charCodeAt(0)] = 1
/** Begins a string that stands for a number. Random, so that no text from outside begins with it. */
const MARK = `exact-${Math.random().toString(36).slice(2)}:`
/** What follows the mark. */
const MARKED = new RegExp(String.raw`(${NUMBER})\\*"`, 'y')

/** Like JSON.parse, with an ExactNumber for each number that would be rounded. @throws SyntaxError */
export function parseJson(text: string): unknown {
  return parseMarked(SUSPECT.test(text) ? markNumbers(text) : text, text)
}

/**
 * Like `parseJson`, in several passes: between them the event loop can serve others.
 * @param most how many ExactNumbers the text may have
 * @throws SyntaxError, TooManyValuesError
 */
export function* parseJsonInPasses(text: string, most: number): Generator<void, unknown> {
  const marked = SUSPECT.test(text) ? markNumbers(text, most) : text
  yield
  return parseMarked(marked, text)
}

function parseMarked(marked: string, text: string): unknown {
  const value: unknown = JSON.parse(marked)
  return marked === text ? value : unmarked(value)
}

/** Changes the value of a parsed text in place: a reviver of JSON.parse would take several times as long. */
function unmarked(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith(MARK) ? new ExactNumber(value.slice(MARK.length)) : value
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) value[at] = unmarked(value[at])
    return value
  }
  const fields = value as Record<string, unknown>
  for (const name of Object.keys(value)) {
    const item = unmarked(fields[name])
    if (item !== fields[name]) fields[name] = item
  }
  return value
}

/** What an ExactNumber of a text from outside counts besides the value that it is: it takes as long as so many others. */
export const EXACT_VALUES = 8

/** A message has more keys and values than its reader accepts. */
export class TooManyValuesError extends Error {
  override readonly name = 'TooManyValuesError'
}

/** Like JSON.stringify, with the digits of each ExactNumber. */
export function stringifyJson(value: unknown): string {
  marks = true
  wasMarked = false
  try {
    const text = JSON.stringify(value)
    return wasMarked ? restoreNumbers(text) : text
  } finally {
    marks = false
  }
}

/**
 * Replaces numbers that JSON.parse would round with strings, for code that parses and rewrites JSON. Invalid JSON stays invalid.
 * @param most how many there may be
 * @throws TooManyValuesError
 */
export function markNumbers(json: string, most = Number.POSITIVE_INFINITY): string {
  let [marked, copied, left] = ['', 0, most]
  for (let at = 0; at < json.length; ) {
    const unit = json.charCodeAt(at)
    if (unit === QUOTE) {
      at = endOfString(json, at)
    } else if (IS_NUMERIC[unit] !== 1 || unit === SMALL_E) {
      // The letter is also in `true` and `false`.
      at += 1
    } else {
      const start = at
      while (IS_NUMERIC[json.charCodeAt(at)] === 1) at += 1
      if (at - start < SHORTEST_ROUNDED) continue
      const source = json.slice(start, at)
      if (!NUMERAL.test(source) || !isRounded(source) || isKey(json, at)) continue
      left -= 1
      if (left < 0) throw new TooManyValuesError()
      marked += `${json.slice(copied, start)}"${MARK}${source}"`
      copied = at
    }
  }
  return copied === 0 ? json : marked + json.slice(copied)
}

/** Replaces each ExactNumber with a string, for code that writes JSON. */
export function withMarkedNumbers<T>(value: T): T {
  return mapNumbers(value, ({ source }) => MARK + source)
}

/** Restores the numbers of `markNumbers` and `withMarkedNumbers` in JSON, also in JSON within its strings. */
export function restoreNumbers(json: string): string {
  let [restored, copied] = ['', 0]
  for (let at = json.indexOf(MARK); at >= 0; at = json.indexOf(MARK, at + MARK.length)) {
    let start = at - 1
    if (json.charCodeAt(start) !== QUOTE) continue
    // Backslashes precede the quotes if the JSON is a string of other JSON.
    while (start > copied && json.charCodeAt(start - 1) === BACKSLASH) start -= 1
    MARKED.lastIndex = at + MARK.length
    const [whole, source] = MARKED.exec(json) ?? []
    if (whole === undefined || source === undefined) continue
    restored += json.slice(copied, start) + source
    copied = at + MARK.length + whole.length
  }
  return copied === 0 ? json : restored + json.slice(copied)
}

/** Replaces each ExactNumber with the nearest number, for code that calculates. @returns the same value if it has none */
export function roundNumbers<T>(value: T): T {
  return mapNumbers(value, ({ source }) => Number(source))
}

/** Parses a value. Where the schema has a JavaScript number, exact numbers are rounded. */
export function safeParseExact<T>(schema: z.ZodType<T>, value: unknown): z.ZodSafeParseResult<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed
  return hasExactNumber(value) ? schema.safeParse(roundNumbers(value)) : parsed
}

/** Providers require objects as inputs of calls; anything else is wrapped. */
export function asObject(input: unknown): object {
  const isObject =
    typeof input === 'object' && input !== null && !Array.isArray(input) && !(input instanceof ExactNumber)
  return isObject ? input : { input }
}

/** Whether what ends here is followed by a colon, as a key: JSON has no numbers there. */
function isKey(json: string, end: number): boolean {
  let at = end
  while (WHITE_SPACE.has(json.charCodeAt(at))) at += 1
  return json.charCodeAt(at) === COLON
}

function isRounded(source: string): boolean {
  const isWhole = WHOLE.test(source)
  // JavaScript writes such numbers with an exponent. Reading a number of many digits takes long.
  if (isWhole && source.length > 22) return true
  if (!isWhole && hasMoreDigits(source, DOUBLE_DIGITS)) return true
  const value = Number(source)
  if (!Number.isFinite(value)) return true
  return isWhole && !Number.isSafeInteger(value) && String(value) !== source
}

/** Whether a number in JSON's syntax has more than `most` digits before its exponent, without zeros at the beginning. */
function hasMoreDigits(source: string, most: number): boolean {
  let digits = 0
  for (let at = 0; at < source.length && digits <= most; at += 1) {
    const unit = source.charCodeAt(at)
    if (unit === SMALL_E || unit === LARGE_E) break
    if (unit >= ZERO && unit <= NINE && (digits > 0 || unit !== ZERO)) digits += 1
  }
  return digits > most
}

/** Copies nothing, unlike mapNumbers: most values are large and have none. */
function hasExactNumber(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof ExactNumber) return true
  if (Array.isArray(value)) return value.some(hasExactNumber)
  for (const name in value) {
    if (hasExactNumber((value as Readonly<Record<string, unknown>>)[name])) return true
  }
  return false
}

function mapNumbers<T>(value: T, to: (number: ExactNumber) => unknown): T {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof ExactNumber) return to(value) as T
  if (Array.isArray(value)) {
    const items = value.map((item) => mapNumbers(item as unknown, to))
    return items.some((item, at) => item !== value[at]) ? (items as T) : value
  }
  // Other objects, such as a URL, contain no JSON.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  const fields = Object.entries(value).map(([name, item]) => [name, mapNumbers(item as unknown, to)] as const)
  const isSame = fields.every(([name, item]) => item === (value as Record<string, unknown>)[name])
  return isSame ? value : (Object.fromEntries(fields) as T)
}
