// Text without half characters. The server replaces them where text enters, so that readers of every codec, and model providers,
// get the same text; and it truncates text between characters. Also the gap between two texts of an answer.
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
 * The beginning of the text. It ends between two characters as people see them: never inside a surrogate pair, an emoji sequence or a
 * letter with its accents, unless a single character is longer than `max`.
 * @param max UTF-16 code units
 */
export function cutText(text: string, max: number): string {
  if (text.length <= max) return text
  // The code unit after the end shows whether the end is a boundary.
  const beginning = text.slice(0, max + 2)
  const end = max < 1 ? 0 : (new Intl.Segmenter().segment(beginning).containing(max)?.index ?? max)
  if (end > 0) return text.slice(0, end)
  return isHighSurrogate(text.charCodeAt(max - 1))
    ? text.slice(0, Math.max(0, max - 1))
    : text.slice(0, Math.max(0, max))
}

/**
 * What separates the text of an answer before and after a tool call or a steering message: an empty line, unless one of them is
 * empty or there is white space between them already.
 */
export function textGap(before: string, after: string): '' | '\n\n' {
  const hasGap = before === '' || after === '' || /\s/.test(before.slice(-1) + after.slice(0, 1))
  return hasGap ? '' : '\n\n'
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
