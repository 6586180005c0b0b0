// Text without half characters. The server replaces them where text enters, so that readers of every codec, and model providers,
// get the same text. Also the gap between two texts of an answer.
import { plain } from './json/plain.ts'

/**
 * Replaces lone surrogates in a string, or in all strings and keys of a JSON value, with U+FFFD: UTF-8 cannot encode them
 * (Unicode, section 3.9, D79). The length in UTF-16 code units stays the same.
 * @returns the same value if it has none
 */
export function wellFormed<T>(value: T): T {
  return value === undefined ? value : (plain(value, (number) => number) as T)
}

/**
 * What separates the text of an answer before and after a tool call or a steering message: an empty line, unless one of them is
 * empty or there is white space between them already.
 */
export function textGap(before: string, after: string): '' | '\n\n' {
  const hasGap = before === '' || after === '' || /\s/.test(before.slice(-1) + after.slice(0, 1))
  return hasGap ? '' : '\n\n'
}
