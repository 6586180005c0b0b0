// cutText: truncates text between characters. A file of its own, so that a page loads it only with the code that uses it.

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

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
