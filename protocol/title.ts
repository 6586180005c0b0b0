// Title: a session's title from the text of its first message, and Markdown without its syntax.
import { cutText } from './cut-text.ts'

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

/** Code, escapes, character references, and formulas that are complete in their line: the page's rules for formulas. */
const TOKEN = new RegExp(
  [
    /(?<!`)(?<ticks>`{1,16})(?!`)(?<code>.+?)(?<!`)\k<ticks>(?!`)/,
    /\\\((?<round>(?:[^\\]|\\[^()])*)\\\)/,
    /\\\[(?<square>(?:[^\\]|\\[^[\]])*)\\\]/,
    /\\(?<escaped>[!-/:-@[-`{-~])/,
    /&(?<reference>amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#[xX][\dA-Fa-f]{1,6});/,
    /(?<!\$)\$\$(?<double>[^$]+)\$\$(?!\$)/,
    /(?<![\w$])\$(?![\s$])(?<single>(?:[^$\\]|\\.)+)(?<!\s)\$(?![\d$A-Z])(?:(?![a-z])|(?<=[\dA-Za-z)}\]|]\$|\$[^\s$]*[\dA-Za-z)}\]]'+\$))/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
)
/** An amount, and then words. */
const AMOUNT = /^\d[\d.,]*\p{L}{0,2}[\s(]+\p{L}{2,}[^\\]*$/u
const REFERENCES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
}

type Groups = Readonly<Record<string, string | undefined>>

/** @param replace called with the source and the parts of each token */
function withTokens(line: string, replace: (source: string, groups: Groups) => string): string {
  return line.replaceAll(TOKEN, (source: string, ...rest: unknown[]) => replace(source, rest.at(-1) as Groups))
}

/** The TeX of a formula; undefined for another token. */
function texOf({ round, square, double, single }: Groups): string | undefined {
  return round ?? square ?? double ?? (single !== undefined && AMOUNT.test(single) ? undefined : single)
}

/** A line with each complete formula replaced. */
export function withFormulas(line: string, replace: (tex: string) => string): string {
  return withTokens(line, (source, groups) => {
    const tex = texOf(groups)
    return tex === undefined ? source : replace(tex)
  })
}

/** The text of code, an escape, a character reference or a formula; undefined for an amount. */
function textOf(groups: Groups): string | undefined {
  const { code, escaped, reference } = groups
  if (code !== undefined) return code.replace(/^ (.*[^ ].*) $/, '$1')
  if (escaped !== undefined) return escaped
  return reference === undefined ? texOf(groups) : referenced(reference)
}

function referenced(name: string): string {
  const digits = /^#(x?)(.*)$/i.exec(name)
  if (digits === null) return REFERENCES[name] ?? name
  const code = Number.parseInt(digits[2] ?? '', digits[1] === '' ? 10 : 16)
  return code === 0 || code > 0x10ffff ? '\ufffd' : String.fromCodePoint(code)
}

/** Stands for a text without syntax, between two of these. */
const KEPT = '\ue000'

/** A line of Markdown without its syntax. Formulas are in TeX. */
export function plainLine(line: string): string {
  const kept: string[] = []
  const keep = (text: string): string => `${KEPT}${kept.push(text) - 1}${KEPT}`
  const source = withTokens(line.replaceAll(KEPT, ''), (token, groups) => {
    const text = textOf(groups)
    return text === undefined ? token : keep(text)
  })
  const isTable = /^\s*\|/.test(source)
  if (isTable && /^[\s|:-]+$/.test(source)) return ''
  const cells = isTable
    ? source
        .trim()
        .replaceAll(/^\||\|$/g, '')
        .split('|')
        .map((cell) => cell.trim())
        .join(', ')
    : source
  return cells
    .replaceAll(/<br\s{0,9}\/?>/gi, ' ')
    .replace(/^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+(?:\[[ xX]\]\s+)?|[-*_=]{3,}\s*$)/, '')
    .replaceAll(LINK, '$1')
    .replaceAll(/\*\*|(?<![\p{L}\p{N}])__|__(?![\p{L}\p{N}])|~~|`/gu, '')
    .replaceAll(CJK_EMPHASIS, '')
    .replaceAll(/(^|\s)[*_](?=\S)|(\S)[*_](?=\s|[.,;:!?]|$)/g, '$1$2')
    .replaceAll(/\ue000(\d+)\ue000/g, (_, at: string) => kept[Number(at)] ?? '')
    .trim()
}
