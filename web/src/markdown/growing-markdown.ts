// GrowingMarkdown: a text that grows at its end, as blocks. Pure: `grown` takes what is held and the longer text and
// returns what is held then. A block that is complete is never parsed again and stays the same object; only the last
// one is, and that is bounded: what goes on beyond WINDOW without an end is cut into several.
import { heldBack, mended } from './open-end.ts'
import { type MarkdownNode, parseMarkdown } from './parse-markdown.ts'

export interface Block {
  /** Where it begins in the text; no two have the same. */
  readonly at: number
  readonly source: string
  readonly nodes: readonly MarkdownNode[]
}

export interface GrowingMarkdown {
  /** As much as was looked at. */
  readonly text: string
  readonly complete: readonly Block[]
  /** What comes after the complete blocks: none, or the one that grows. */
  readonly last: Block | undefined
  readonly ended: boolean
}

export const NO_MARKDOWN: GrowingMarkdown = { text: '', complete: [], last: undefined, ended: false }

/** Characters of one block at most, code aside: the parser's cost grows faster than its text. */
export const WINDOW = 8_000
/** Characters that are looked at in one go; more takes further calls, until `text` is all of it. */
export const STEP = 64_000

const FENCE = /^(?: {0,3}\n)*( {0,3})(`{3,}|~{3,})([^\n`]*)(?:\n|$)/
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:[ \t]*\S/m

/** @param ended whether the text is whole: then nothing is held back */
export function grown(held: GrowingMarkdown, text: string, ended: boolean): GrowingMarkdown {
  const follows = text.length >= held.text.length && text.startsWith(held.text) && !held.ended
  if (held.ended && ended && held.text === text) return held
  const complete = follows ? [...held.complete] : []
  let at = end(complete.at(-1))
  const until = Math.min(text.length, (follows ? held.text.length : 0) + STEP)
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
  // While its first line is not whole, what comes last may still turn out to go on with what comes before; a table,
  // while the line under the first is not.
  const line = window.indexOf('\n', start)
  const isDecided = line >= 0 && (nodes.at(-1)?.type !== 'table' || window.includes('\n', line + 1))
  if (nodes.length > 1 && isDecided && !(isAll && whole)) {
    return { complete: split(nodes.slice(0, -1), window.slice(0, start), at), last: undefined, isAll: false }
  }
  if (whole || !isAll) return { complete: split(nodes, window, at), last: undefined, isAll }
  return { complete: [], last: open(window, at), isAll: true }
}

/** A block of code is found by its fences, however long it is. */
function fence(rest: string, at: number, whole: boolean): Step | undefined {
  const opening = FENCE.exec(rest)
  const marks = opening?.[2]
  // With its first line not whole, what is written there is not known yet; marks alone are held back.
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
  // The beginning of what may be the closing fence is not code.
  const shown = whole ? body : body.replace(new RegExp(`(^|\n)[ \t]*${marks[0]}*$`), '$1')
  const block = { at, source, nodes: [code(opening[3] ?? '', dedented(shown, indent))] }
  const isAll = source.length === rest.length
  if (closed || whole) return { complete: [block], last: undefined, isAll }
  return { complete: [], last: block, isAll: true }
}

function code(info: string, text: string): MarkdownNode {
  const [lang = ''] = info.trim().split(/\s+/)
  return { type: 'code', lang: lang === '' ? null : lang, value: text.endsWith('\n') ? text.slice(0, -1) : text }
}

function dedented(text: string, indent: number): string {
  return indent === 0 ? text : text.replaceAll(new RegExp(`^ {1,${indent}}`, 'gm'), '')
}

function open(source: string, at: number): Block | undefined {
  if (source.trim() === '') return undefined
  // Blocks that are decided but not complete, like a list before a line that has only begun, stand as they are.
  return { at, source, nodes: parseMarkdown(mended(heldBack(source))) }
}

/** One block for each node. What stands between two belongs to the first. */
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

/** Where a block that is too long is cut: before a line that stands at the margin, or a line, or a word. */
function cut(rest: string): number {
  const window = rest.slice(0, WINDOW)
  const margin = window.search(/\n(?=\S[^\n]*$)/)
  const line = margin > 0 ? margin : window.lastIndexOf('\n')
  if (line > 0) return line + 1
  const word = window.lastIndexOf(' ')
  return word > 0 ? word + 1 : WINDOW
}

/** Links by name may be told where they lead at the end of a text: blocks that have any are read once more. */
function withDefinitions(state: GrowingMarkdown): GrowingMarkdown {
  const definitions = state.complete.flatMap(({ nodes }) => nodes).filter((node) => node.type === 'definition')
  const urls = new Map(definitions.map(({ identifier, url }) => [identifier, url]))
  // Only that a name is known makes it a link; where it leads is put in below.
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

/** Where a node's first line begins: its indentation is no part of it, but counts. */
function offset(node: MarkdownNode | undefined, source: string): number {
  const start = node?.position?.start.offset ?? 0
  return start === 0 ? 0 : source.lastIndexOf('\n', start - 1) + 1
}

function end(block: Block | undefined): number {
  return block === undefined ? 0 : block.at + block.source.length
}
