// IncompleteMarkdown: the end of a streaming Markdown text. Pure. It drops a last line whose type is undecided, and
// closes open inline markup, so that the next token never changes the type of something visible.
import remend, { type RemendOptions } from 'remend'

/** Only open markup at the end is closed. Everything that would change earlier text is disabled. */
const CLOSE_ONLY: RemendOptions = {
  linkMode: 'text-only',
  comparisonOperators: false,
  htmlTags: false,
  katex: false,
  setextHeadings: false,
  singleTilde: false,
}

/** A line that may become a list item, rule, underline, heading, quotation, fence, table row or footnote. */
const UNDECIDED = /^[ \t]*(?:[-+*_=~`>#|: \t]+|\d{1,9}[.)]?[ \t]*|\[(?:\^[^\]\s]*\]?:?)?)$/
const ROW = /^[ \t]*\|/

/** @param block the last block of a text */
export function dropUndecidedEnd(block: string): string {
  const lines = block.split('\n')
  if (UNDECIDED.test(lines.at(-1) ?? '')) lines.pop()
  // Without its delimiter row the first row of a table would be a paragraph.
  const row = lines.at(-1) === '' ? lines.length - 2 : lines.length - 1
  if (ROW.test(lines[row] ?? '') && !ROW.test(lines[row - 1] ?? '')) lines.length = row
  // A backslash at the end may begin a formula, or make the next character text.
  return lines.join('\n').replace(/(?<!\\)\\$/, '')
}

/** Stands for a formula. A private character, which texts hardly contain. */
const FORMULA = '\u{f8ff}'

/** @param formulas where they are in the text whose start the block is. Their `_`, `*` and `[` are not open */
export function closeOpenMarkup(block: string, formulas: readonly (readonly [from: number, to: number])[]): string {
  if (block.includes(FORMULA)) return remend(block, CLOSE_ONLY)
  let hidden = ''
  let end = 0
  const sources: string[] = []
  for (const [from, to] of formulas) {
    if (from < end || to > block.length) continue
    sources.push(block.slice(from, to))
    hidden += block.slice(end, from) + FORMULA
    end = to
  }
  return remend(hidden + block.slice(end), CLOSE_ONLY).replaceAll(FORMULA, () => sources.shift() ?? '')
}
