// GrowingMarkdown: a streaming Markdown text as blocks. Pure: `growMarkdown` takes the previous state and the longer
// text, and returns the next state. A complete block is never parsed again and stays the same object. Only the last
// block is parsed again, and its length is limited: a block longer than WINDOW is split.
import { closeOpenMarkup, dropUndecidedEnd } from './incomplete-markdown.ts'
import { type MarkdownNode, parseMarkdown } from './parse-markdown.ts'

export interface Block {
  /** Its offset in the text, which is unique. */
  readonly at: number
  readonly source: string
  readonly nodes: readonly MarkdownNode[]
}

export interface GrowingMarkdown {
  /** The part of the text that was processed. */
  readonly text: string
  readonly complete: readonly Block[]
  /** The growing block after the complete ones, if there is one. */
  readonly last: Block | undefined
  readonly ended: boolean
}

export const NO_MARKDOWN: GrowingMarkdown = { text: '', complete: [], last: undefined, ended: false }

/** Characters of a block, except code: the cost of the parser grows faster than the text. */
export const WINDOW = 8_000
/** Characters that one call processes. A longer text takes more calls, until `text` is the whole text. */
export const STEP = 64_000

const FENCE = /^(?: {0,3}\n)*( {0,3})(`{3,}|~{3,})([^\n`]*)(?:\n|$)/
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:[ \t]*\S/m

/** @param ended whether the text is complete: then its end is shown as it is */
export function growMarkdown(before: GrowingMarkdown, text: string, ended: boolean): GrowingMarkdown {
  const continues = text.length >= before.text.length && text.startsWith(before.text) && !before.ended
  if (before.ended && ended && before.text === text) return before
  const complete = continues ? [...before.complete] : []
  let at = end(complete.at(-1))
  const until = Math.min(text.length, (continues ? before.text.length : 0) + STEP)
  const whole = ended && until === text.length
  for (;;) {
    const step = nextBlocks(text.slice(at, until), at, whole)
    complete.push(...step.complete)
    at = end(complete.at(-1))
    if (step.isAll) {
      const state = { text: text.slice(0, until), complete, last: step.last, ended: whole }
      return whole && DEFINITION.test(text) ? withDefinitions(state) : state
    }
  }
}

interface Step {
  readonly complete: readonly Block[]
  readonly last: Block | undefined
  readonly isAll: boolean
}

function nextBlocks(rest: string, at: number, whole: boolean): Step {
  const fenced = fence(rest, at, whole)
  if (fenced !== undefined) return fenced
  const window = rest.length > WINDOW ? rest.slice(0, cut(rest)) : rest
  const isAll = window === rest
  const nodes = parseMarkdown(window)
  const start = offset(nodes.at(-1), window)
  // Until its first line is complete, the last block may still turn out to continue the previous one. A table may do so
  // until its second line is complete.
  const line = window.indexOf('\n', start)
  const isDecided = line >= 0 && (nodes.at(-1)?.type !== 'table' || window.includes('\n', line + 1))
  if (nodes.length > 1 && isDecided && !(isAll && whole)) {
    return { complete: split(nodes.slice(0, -1), window.slice(0, start), at), last: undefined, isAll: false }
  }
  if (whole || !isAll) return { complete: split(nodes, window, at), last: undefined, isAll }
  return { complete: [], last: growingBlock(window, at), isAll: true }
}

/** Finds a code block by its fences, however long it is. */
function fence(rest: string, at: number, whole: boolean): Step | undefined {
  const opening = FENCE.exec(rest)
  const marks = opening?.[2]
  // The language is unknown until the first line is complete.
  if (opening === null || marks === undefined || !rest.includes('\n', opening.index + opening[0].length - 1)) {
    return undefined
  }
  const closing = new RegExp(`\n {0,3}${marks[0]}{${marks.length},}[ \t]*(\n|$)`, 'g')
  closing.lastIndex = opening[0].length - 1
  const close = closing.exec(rest)
  const closed = close !== null && (close[1] === '\n' || whole)
  const indent = (opening[1] ?? '').length
  const body = rest.slice(opening[0].length, close === null ? rest.length : close.index + 1)
  const source = rest.slice(0, close === null || !closed ? rest.length : close.index + close[0].length)
  // The start of a closing fence is not code.
  const visible = whole ? body : body.replace(new RegExp(`(^|\n)[ \t]*${marks[0]}*$`), '$1')
  const block = { at, source, nodes: [code(opening[3] ?? '', dedent(visible, indent))] }
  const isAll = source.length === rest.length
  if (closed || whole) return { complete: [block], last: undefined, isAll }
  return { complete: [], last: block, isAll: true }
}

function code(info: string, text: string): MarkdownNode {
  const [lang = ''] = info.trim().split(/\s+/)
  return { type: 'code', lang: lang === '' ? null : lang, value: text.endsWith('\n') ? text.slice(0, -1) : text }
}

function dedent(text: string, indent: number): string {
  return indent === 0 ? text : text.replaceAll(new RegExp(`^ {1,${indent}}`, 'gm'), '')
}

function growingBlock(source: string, at: number): Block | undefined {
  if (source.trim() === '') return undefined
  return { at, source, nodes: parseMarkdown(closeOpenMarkup(dropUndecidedEnd(source))) }
}

/** One block for each node. Text between two nodes belongs to the first. */
function split(nodes: readonly MarkdownNode[], source: string, at: number): readonly Block[] {
  if (nodes.length === 0) return source === '' ? [] : [{ at, source, nodes: [] }]
  return nodes.map((node, index) => {
    const from = index === 0 ? 0 : offset(node, source)
    const next = nodes[index + 1]
    return {
      at: at + from,
      source: source.slice(from, next === undefined ? undefined : offset(next, source)),
      nodes: [node],
    }
  })
}

/** Where to split a block that is too long: before a line without indentation, else a line, else a word. */
function cut(rest: string): number {
  const window = rest.slice(0, WINDOW)
  const margin = window.search(/\n(?=\S[^\n]*$)/)
  const line = margin > 0 ? margin : window.lastIndexOf('\n')
  if (line > 0) return line + 1
  const word = window.lastIndexOf(' ')
  return word > 0 ? word + 1 : WINDOW
}

/** The definitions of reference links may follow at the end of a text: blocks with such links are parsed again. */
function withDefinitions(state: GrowingMarkdown): GrowingMarkdown {
  const definitions = state.complete.flatMap(({ nodes }) => nodes).filter((node) => node.type === 'definition')
  const urls = new Map(definitions.map(({ identifier, url }) => [identifier, url]))
  // For the parser any URL makes it a link; `linked` inserts the real one.
  const known = [...urls.keys()].map((name) => `[${name}]: x`).join('\n')
  if (urls.size === 0 || known.length > WINDOW) return state
  const complete = state.complete.map((block) => {
    if (!block.source.includes('[') || block.nodes.some(({ type }) => type === 'code')) return block
    const nodes = parseMarkdown(`${block.source}\n\n${known}`)
    return { ...block, nodes: nodes.filter(({ type }) => type !== 'definition').map((node) => linked(node, urls)) }
  })
  return { ...state, complete }
}

function linked<Node extends MarkdownNode>(node: Node, urls: ReadonlyMap<string, string>): Node {
  if (!('children' in node)) return node
  const children = node.children.map((child) => linked(child, urls))
  if (node.type !== 'linkReference') return { ...node, children }
  return { ...node, type: 'link', url: urls.get(node.identifier) ?? '', children } as MarkdownNode as Node
}

/** The start of a node's first line. A node's own position excludes its indentation. */
function offset(node: MarkdownNode | undefined, source: string): number {
  const start = node?.position?.start.offset ?? 0
  return start === 0 ? 0 : source.lastIndexOf('\n', start - 1) + 1
}

function end(block: Block | undefined): number {
  return block === undefined ? 0 : block.at + block.source.length
}
