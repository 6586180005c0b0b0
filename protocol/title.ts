// Title: a session's title from the text of its first message, and Markdown without its syntax.
import { cutText } from './well-formed.ts'

/** UTF-16 code units of a title that the server sets. */
export const TITLE_CHARS = 80

/** @returns one line without Markdown's syntax; undefined if the text has no words */
export function titleOf(text: string): string | undefined {
  const lines = cutText(text, 10 * TITLE_CHARS)
    .split('\n')
    .map(plainLine)
  const line = lines.join(' ').replaceAll(/\s+/g, ' ').trim()
  if (line === '') return undefined
  return line.length <= TITLE_CHARS ? line : `${cutText(line, TITLE_CHARS - 1).trimEnd()}…`
}

/** None of these patterns takes longer than in proportion to the text, whatever it contains. */
const LINK = /!?\[([^[\]]*)\]\((?:[^()]|\([^()]*\))*\)/g
/** Chinese, Japanese and Korean put no spaces around emphasis. */
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uff65“”‘’]/u
const CJK_EMPHASIS = new RegExp(`\\*(?=${CJK.source})|(?<=${CJK.source})\\*`, 'gu')

/** A formula that is complete in its line. */
const INLINE =
  /(?<!\\)\\\(((?:[^\\]|\\[^()])*)\\\)|(?<!\\)\\\[((?:[^\\]|\\[^[\]])*)\\\]|\$\$([^$]+)\$\$|(?<![\w$])\$(?![\s$])([^$]*[^\s$])\$(?![\d$])/g
/** An amount, and then words. */
const AMOUNT = /^\d[\d.,]*\p{L}{0,2}[\s(]+\p{L}{2,}[^\\]*$/u
/** A line with each complete formula replaced. */
export function withFormulas(line: string, replace: (tex: string) => string): string {
  return line.replaceAll(INLINE, (source, round?: string, square?: string, double?: string, single?: string) => {
    const tex = round ?? square ?? double ?? single ?? ''
    return single !== undefined && AMOUNT.test(single) ? source : replace(tex)
  })
}

/** A line of Markdown without its syntax. Formulas are in TeX. */
export function plainLine(line: string): string {
  const isTable = /^\s*\|/.test(line)
  if (isTable && /^[\s|:-]+$/.test(line)) return ''
  const cells = isTable
    ? line
        .trim()
        .replaceAll(/^\||\|$/g, '')
        .split('|')
        .map((cell) => cell.trim())
        .join(', ')
    : line
  return withFormulas(cells, (tex) => tex)
    .replaceAll(/<br\s{0,9}\/?>/gi, ' ')
    .replace(/^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+(?:\[[ xX]\]\s+)?|[-*_=]{3,}\s*$)/, '')
    .replaceAll(LINK, '$1')
    .replaceAll(/\*\*|__|~~|`/g, '')
    .replaceAll(CJK_EMPHASIS, '')
    .replaceAll(/(^|\s)[*_](?=\S)|(\S)[*_](?=\s|[.,;:!?]|$)/g, '$1$2')
    .trim()
}
