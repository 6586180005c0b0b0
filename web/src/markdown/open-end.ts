// OpenEnd: the end of a Markdown text that is still growing. Pure. What could yet become something else is held back,
// and what was begun inside of a line is closed, so that nothing shown now changes its kind with the next token.
import remend, { type RemendOptions } from 'remend'

/** It may only close what stands open at the end; whatever it would change further up is none of its business. */
const MEND: RemendOptions = {
  linkMode: 'text-only',
  comparisonOperators: false,
  htmlTags: false,
  katex: false,
  setextHeadings: false,
  singleTilde: false,
}

/** A line that has begun, and may be a list item, a rule, an underline, a heading, a quotation, a fence, a table's rule. */
const UNDECIDED = /^[ \t]*(?:[-+*_=~`>#|: \t]+|\d{1,9}[.)]?[ \t]*)$/
const ROW = /^[ \t]*\|/

/** The block without what cannot be told yet. @param block the last of a text, from its first line */
export function heldBack(block: string): string {
  const lines = block.split('\n')
  if (UNDECIDED.test(lines.at(-1) ?? '')) lines.pop()
  // A table's first row is a paragraph until the line under it is there, and no earlier row stands over it.
  const row = lines.at(-1) === '' ? lines.length - 2 : lines.length - 1
  if (ROW.test(lines[row] ?? '') && !ROW.test(lines[row - 1] ?? '')) lines.length = row
  return lines.join('\n')
}

/** The block with what stands open inside of it closed. */
export function mended(block: string): string {
  return remend(block, MEND)
}
