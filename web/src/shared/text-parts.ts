// TextParts: cuts a long text into parts, which browsers lay out one by one. Pure. A cut that is made stays while the text grows.

/** UTF-16 code units. Browsers take up to 100 ms for a part, and many times as long for a word of 64,000 without a space. */
export const PART_CHARS = 4_000

/** A part ends at a space, if there is one this close to its end. */
const SPACE_CHARS = 400
/** A user-perceived character with more is cut. Where the next one begins is known only after as many. */
const CLUSTER_CHARS = 200

const clusters = new Intl.Segmenter()

/** @returns at least one part; together they are the text */
export function textParts(text: string): readonly string[] {
  const parts: string[] = []
  let at = 0
  while (text.length - at > PART_CHARS + CLUSTER_CHARS) {
    const end = at + endOf(text.slice(at, at + PART_CHARS + CLUSTER_CHARS))
    parts.push(text.slice(at, end))
    at = end
  }
  return [...parts, text.slice(at)]
}

/** Prefers the end of a line to the end of a word, and this to the end of a character. */
function endOf(text: string): number {
  const line = text.lastIndexOf('\n', PART_CHARS - 1) + 1
  if (line > PART_CHARS / 2) return line
  const word = text.lastIndexOf(' ', PART_CHARS - 1) + 1
  if (word > PART_CHARS - SPACE_CHARS) return word
  const cluster = clusters.segment(text).containing(PART_CHARS)?.index ?? 0
  if (cluster > PART_CHARS - CLUSTER_CHARS) return cluster
  return PART_CHARS - (/^[\udc00-\udfff]/.test(text.slice(PART_CHARS)) ? 1 : 0)
}

/** The line breaks at the end of a text: in an element of its own, the last one has no effect. */
export function finalBreaks(text: string): string {
  return /\n*$/.exec(text)?.[0] ?? ''
}
