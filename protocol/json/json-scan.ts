// Looks at JSON text before or instead of parsing it. Each function takes time in proportion to the text, whatever it contains.

import { LIMITS } from '../limits.ts'

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [OTHER, STRING, COMMA, OPENING, CLOSING, COLON] = [0, 1, 2, 3, 4, 5]
/** What a character means outside of strings. A table takes a third of the time of comparisons. */
const MEANING = new Uint8Array(0x1_0000)
MEANING[QUOTE] = STRING
MEANING[','.charCodeAt(0)] = COMMA
MEANING[':'.charCodeAt(0)] = COLON
for (const char of '[{') MEANING[char.charCodeAt(0)] = OPENING
for (const char of ']}') MEANING[char.charCodeAt(0)] = CLOSING
/** A search for the next quote costs as much as reading so many characters. */
const NEAR = 64
/** So many characters of a key, a number or white space take a parser as long as one more value. */
const VALUE_CHARS = 32

export interface JsonLimits {
  /** Maximum nesting of arrays and objects. */
  readonly maxDepth: number
  /** Maximum number of keys and values in arrays and objects, as `jsonSize` counts them. */
  readonly maxValues: number
}

export interface JsonSize {
  readonly depth: number
  readonly values: number
}

/**
 * Measures what makes JSON slow to parse and to check, or too deep for recursive functions: many megabytes of text in a few strings
 * take milliseconds; as many bytes of brackets, commas and keys take seconds, in which a server answers nobody.
 * @param json need not be valid
 * @returns the depth, and the number of keys and values: commas, colons and opening brackets outside of strings, one more for each
 * key, and one for every 32 characters of a key, or of a number and the white space around it. One of them is too small if the other is
 * beyond its limit
 */
export function jsonSize(json: string, { maxDepth, maxValues }: JsonLimits): JsonSize {
  let [values, depth, deepest, others, stringChars] = [0, 0, 0, 0, 0]
  for (let at = 0; at < json.length; at += 1) {
    const meaning = MEANING[json.charCodeAt(at)]
    if (meaning === OTHER) {
      others += 1
      if (others < VALUE_CHARS) continue
      values += 1
      others = 0
    } else {
      others = 0
      if (meaning === STRING) {
        const end = endOfString(json, at)
        stringChars = end - at - 2
        at = end - 1
        continue
      }
      if (meaning === CLOSING) {
        depth -= 1
        continue
      }
      values += meaning === COLON ? keyValues(stringChars) : 1
      if (meaning === OPENING) depth += 1
      if (depth > deepest) deepest = depth
    }
    if (values > maxValues || depth > maxDepth) break
  }
  return { depth: deepest, values }
}

/** What a key counts: an engine keeps a table of all keys, in which a long one takes longer. */
export function keyValues(chars: number): number {
  return 2 + Math.floor(Math.max(0, chars) / VALUE_CHARS)
}

/** Whether JSON is nested more deeply than its readers accept. @param json need not be valid */
export function isTooDeep(json: string): boolean {
  return jsonSize(json, { maxDepth: LIMITS.depth, maxValues: Number.POSITIVE_INFINITY }).depth > LIMITS.depth
}

/** @param start index of the opening quote @returns the index after the closing quote; that of the text's end if there is none */
export function endOfString(json: string, start: number): number {
  let at = start + 1
  while (at < json.length) {
    for (const near = Math.min(at + NEAR, json.length); at < near; at += 1) {
      const unit = json.charCodeAt(at)
      if (unit === QUOTE) return at + 1
      if (unit === BACKSLASH) at += 1
    }
    const quote = json.indexOf('"', at)
    if (quote < 0) break
    let escapes = quote
    while (escapes > at && json.charCodeAt(escapes - 1) === BACKSLASH) escapes -= 1
    at = quote + 1
    if ((quote - escapes) % 2 === 0) return at
  }
  return json.length
}
