// Looks at JSON text before or instead of parsing it. Each function takes time in proportion to the text, whatever it contains.

import { LIMITS } from '../limits.ts'

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [OTHER, STRING, SEPARATOR, OPENING, CLOSING] = [0, 1, 2, 3, 4]
/** What a character means outside of strings. A table takes a third of the time of comparisons. */
const MEANING = new Uint8Array(0x1_0000)
MEANING[QUOTE] = STRING
for (const char of ',:') MEANING[char.charCodeAt(0)] = SEPARATOR
for (const char of '[{') MEANING[char.charCodeAt(0)] = OPENING
for (const char of ']}') MEANING[char.charCodeAt(0)] = CLOSING
/** A search for the next quote costs as much as reading so many characters. */
const NEAR = 64

export interface JsonLimits {
  /** Maximum nesting of arrays and objects. */
  readonly maxDepth: number
  /** Maximum number of keys and values in arrays and objects. */
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
 * @returns the depth, and the number of keys and values: commas, colons and opening brackets outside of strings. One of them is too
 * small if the other is beyond its limit
 */
export function jsonSize(json: string, { maxDepth, maxValues }: JsonLimits): JsonSize {
  let [values, depth, deepest] = [0, 0, 0]
  for (let at = 0; at < json.length; at += 1) {
    const meaning = MEANING[json.charCodeAt(at)]
    if (meaning === OTHER) continue
    if (meaning === STRING) {
      at = endOfString(json, at) - 1
    } else if (meaning === CLOSING) {
      depth -= 1
    } else {
      values += 1
      if (meaning === OPENING) depth += 1
      if (depth > deepest) deepest = depth
      if (values > maxValues || depth > maxDepth) break
    }
  }
  return { depth: deepest, values }
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
