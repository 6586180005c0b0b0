// SpokenFormula: formulas in TeX as words. Pure. None of the patterns takes longer than in proportion to the text.
import { withFormulas } from '@parley/protocol/title'

/** A formula that begins in its line and ends in a later one. */
const OPENING = /^\s*(?:[-*+>]\s+)*(\\\[|\$\$)/

const WORDS: Readonly<Record<string, string>> = {
  approx: 'is about',
  cdot: 'times',
  cup: 'union',
  cap: 'intersection',
  div: 'divided by',
  exists: 'there is',
  forall: 'for all',
  ge: 'is at least',
  geq: 'is at least',
  in: 'in',
  infty: 'infinity',
  int: 'integral',
  le: 'is at most',
  leq: 'is at most',
  ldots: 'and so on',
  dots: 'and so on',
  mid: 'given',
  ne: 'is not',
  neq: 'is not',
  notin: 'not in',
  partial: 'partial',
  pm: 'plus or minus',
  prod: 'product',
  Rightarrow: 'implies',
  rightarrow: 'to',
  sqrt: 'root of',
  subset: 'subset of',
  sum: 'sum',
  times: 'times',
  to: 'to',
}
/** Commands for the look. */
const SILENT =
  /^(?:left|right|[bB]igg?[lr]?|quad|qquad|displaystyle|text\w*|math\w*|operatorname|begin|end|label|tag|limits|nonumber|hline)$/

/** @param tex a formula or a line of one */
export function spokenFormula(tex: string): string {
  return tex
    .replaceAll(/\\(?:begin|end)\{[^{}]*\}(?:\{[^{}]*\})?/g, ' ')
    .replaceAll(/\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}/g, ' $1 over $2 ')
    .replaceAll(/\\\\(?:\[[^\]]*\])?|&/g, ' ')
    .replaceAll(/\\([A-Za-z]+)/g, (_, name: string) => (SILENT.test(name) ? ' ' : ` ${WORDS[name] ?? name} `))
    .replaceAll(/\^\{?2\}?(?!\d)/g, ' squared ')
    .replaceAll(/\^\{?3\}?(?!\d)/g, ' cubed ')
    .replaceAll('^', ' to the power of ')
    .replaceAll(/[{}\\$~_]/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ (?=[.,;:!?)\]])/g, '')
    .trim()
}

export interface SpokenLine {
  readonly text: string
  /** What ends the formula in which the line ends; undefined if it ends outside. */
  readonly closing: '$$' | '\\]' | undefined
}

/** @param closing what ends the formula in which the line begins */
export function spokenLine(line: string, closing: SpokenLine['closing']): SpokenLine {
  if (closing !== undefined) {
    const end = line.indexOf(closing)
    if (end < 0) return { text: spokenFormula(line), closing: line.trim() === '' ? undefined : closing }
    const rest = spokenLine(line.slice(end + closing.length), undefined)
    return { ...rest, text: `${spokenFormula(line.slice(0, end))} ${rest.text}`.trim() }
  }
  const text = withFormulas(line, spokenFormula)
  const opening = OPENING.exec(text)
  if (opening === null) return { text, closing: undefined }
  return { text: spokenFormula(text.slice(opening[0].length)), closing: opening[1] === '$$' ? '$$' : '\\]' }
}
