// Extracts what a file says to people: a document without its code blocks; of a program the comments, texts and test
// names. Texts without a space are left out, because most of them are names on the wire.
import { extname } from 'node:path'

const PROGRAMS = new Set(['.ts', '.tsx', '.mts', '.mjs', '.js'])
const DOCUMENTS = new Set(['.yaml', '.yml', '.html', '.svg', '.sh', '.conf', ''])
const WITHOUT_PROSE = /(?:^|\/)(?:package(?:-lock)?\.json|(?:tsconfig|biome)[\w.]*\.json|LICENSE|\.\w+)$/
/** Ends a phrase: none reaches from one text into the next. */
const BREAK = '\0'
/** Replaces inline code and inserted values. */
const VALUE = '\u2026'
/** After these characters a slash begins a regular expression, not a division. */
const BEFORE_PATTERN = /(?:[(,=:[!&|?{};+\-*%~^<>\n]|\breturn|\btypeof|\bcase)\s*$/

/**
 * @param {string} file its path, which tells its language
 * @param {string} source
 * @returns {{ text: string, lineAt: (index: number) => number } | undefined} undefined if it has no prose
 */
export function proseOf(file, source) {
  const kind = extname(file)
  if (WITHOUT_PROSE.test(file)) return undefined
  const prose = new Prose(source)
  if (PROGRAMS.has(kind)) readProgram(prose, source, kind === '.tsx')
  else if (kind === '.css') readStyles(prose, source)
  else if (kind === '.md') readMarkdown(prose, source)
  else if (kind === '.json') readData(prose, source)
  else if (DOCUMENTS.has(kind)) prose.add(0, source.length)
  else return undefined
  return prose
}

/** Pieces of a source, one after the other, that remember where they come from. */
class Prose {
  text = ''
  #source
  /** Of each piece: where it begins in the text, and in the source. */
  #pieces = []

  constructor(source) {
    this.#source = source
  }

  /** @param {(piece: string) => string} [clean] keeps the piece's length */
  add(start, end, clean = withoutCode) {
    this.#pieces.push([this.text.length, start])
    this.text += clean(this.#source.slice(start, end)) + BREAK
  }

  lineAt(index) {
    const [begin, start] = this.#pieces.findLast(([at]) => at <= index) ?? [0, 0]
    return this.#source.slice(0, start + index - begin).split('\n').length
  }
}

function withoutCode(piece) {
  return piece.replace(/`[^`\n]*`/g, (code) => VALUE.padEnd(code.length, VALUE))
}

function readMarkdown(prose, source) {
  const fence = /^( *)(```+|~~~+).*\n([\s\S]*?)^ *\2 *$/gm
  let from = 0
  for (const match of source.matchAll(fence)) {
    addParagraphs(prose, from, match.index)
    const start = match.index + match[0].indexOf('\n') + 1
    for (const comment of match[3].matchAll(/(?:^|\s)(?:#|\/\/) .*/g)) {
      prose.add(start + comment.index, start + comment.index + comment[0].length)
    }
    from = match.index + match[0].length
  }
  addParagraphs(prose, from, source.length)
}

function addParagraphs(prose, from, to) {
  const links = (piece) => piece.replace(/\]\([^)\n]*\)/g, (target) => `]${' '.repeat(target.length - 1)}`)
  const ends = (piece) => piece.replace(/\n\s*\n|\n(?= *(?:[-*|#]|\d+\.) )/g, (gap) => BREAK.padEnd(gap.length))
  prose.add(from, to, (piece) => ends(links(withoutCode(piece))))
}

function readStyles(prose, source) {
  for (const { index, 0: comment } of source.matchAll(/\/\*[\s\S]*?\*\//g)) {
    prose.add(index, index + comment.length, cleanComment)
  }
}

/** The texts of a data file, for example of a dashboard, without its queries. */
function readData(prose, source) {
  for (const match of source.matchAll(/"(\w+)": *"((?:[^"\\]|\\.)*)"/g)) {
    const [pair, name, text] = match
    const end = match.index + pair.length - 1
    if (name === 'expr' || name === 'query' || !/\S\s+\S/.test(text)) continue
    const withoutLabels = (piece) => piece.replace(/\{\{.*?\}\}/g, (label) => VALUE.padEnd(label.length, VALUE))
    prose.add(end - text.length, end, withoutLabels)
  }
}

function cleanComment(piece) {
  return withoutCode(piece.replace(/^[ \t]*(?:\/\/+|\/\*+|\*\/|\*)|\*\/$/gm, (mark) => ' '.repeat(mark.length)))
}

/** Finds comments, strings, templates and patterns; everything between them is code. */
function readProgram(prose, source, isPage) {
  const token = /\/\/.*(?:\n[ \t]*\/\/.*)*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`|[{}]|\//g
  /** Open braces; those that end an insertion into a template are marked. */
  const braces = []
  let codeFrom = 0
  for (let match = token.exec(source); match !== null; match = token.exec(source)) {
    const { index, 0: found } = match
    const first = found[0]
    if (first === '{') braces.push(false)
    else if (first === '}') {
      if (braces.pop() === true) token.lastIndex = readTemplate(prose, source, index + 1, braces)
    } else if (first === '`') token.lastIndex = readTemplate(prose, source, index + 1, braces)
    else if (found === '/') {
      if (BEFORE_PATTERN.test(source.slice(Math.max(0, index - 20), index)))
        token.lastIndex = endOfPattern(source, index)
    } else if (first === '/') {
      prose.add(index, index + found.length, cleanComment)
    } else if (/\s/.test(found.trim())) prose.add(index + 1, index + found.length - 1)
    if (isPage && first !== '{' && first !== '}') {
      addPageText(prose, source, codeFrom, index)
      codeFrom = token.lastIndex
    }
  }
  if (isPage) addPageText(prose, source, codeFrom, source.length)
}

/** @returns where the next token may begin */
function readTemplate(prose, source, start, braces) {
  let at = start
  while (at < source.length && source[at] !== '`' && !source.startsWith('${', at)) at += source[at] === '\\' ? 2 : 1
  const text = source.slice(start, at)
  if (/\S\s+\S/.test(text) || (/^\s\S|\S\s$/.test(text) && /[a-z]{2}/i.test(text))) prose.add(start, at)
  if (source[at] === '`') return at + 1
  braces.push(true)
  return at + 2
}

function endOfPattern(source, start) {
  const { 0: pattern } = /^\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\//.exec(source.slice(start, start + 2_000)) ?? [
    '/',
  ]
  return start + pattern.length
}

/** The text between the elements of a page. */
function addPageText(prose, source, from, to) {
  for (const match of source.slice(from, to).matchAll(/[>}]([^<>{}=;()|&]*[a-z][^<>{}=;()|&]*)(?=[<{]|$)/gi)) {
    prose.add(from + match.index + 1, from + match.index + match[0].length)
  }
}
