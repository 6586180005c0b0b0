// GrowingMarkdown: a streaming Markdown text as blocks. Pure: `growMarkdown` takes the previous state and the longer
// text, and returns the next state. While the text grows, complete blocks are not parsed again. Once it has ended, the
// blocks are those of the whole text.
import { closeOpenMarkup, dropUndecidedEnd } from './incomplete-markdown.ts'
import { type MarkdownNode, parseMarkdown } from './parse-markdown.ts'

export interface Block {
  /** Its offset in the text, which is unique. */
  readonly at: number
  readonly source: string
  readonly nodes: readonly MarkdownNode[]
}

export interface GrowingMarkdown {
  readonly text: string
  readonly complete: readonly Block[]
  /** The growing block after the complete ones, if there is one. */
  readonly last: Block | undefined
  readonly ended: boolean
}

export const NO_MARKDOWN: GrowingMarkdown = { text: '', complete: [], last: undefined, ended: false }

const FENCE = /^(?: {0,3}\n)*( {0,3})(`{3,}|~{3,})([^\n`]*)\n/

/**
 * @param ended whether the text is complete: then its end is shown as it is, and reference links are resolved
 * @throws RangeError for some input of extreme nesting
 */
export function growMarkdown(before: GrowingMarkdown, text: string, ended: boolean): GrowingMarkdown {
  if (ended) {
    const { nodes, starts } = parseMarkdown(text)
    return { text, ended, complete: blocksOf(nodes, starts, text, 0), last: undefined }
  }
  const complete = !before.ended && text.startsWith(before.text) ? [...before.complete] : []
  for (;;) {
    const at = end(complete.at(-1))
    const { blocks, last } = nextBlocks(text.slice(at), at)
    complete.push(...blocks)
    if (blocks.length === 0) return { text, ended, complete, last }
  }
}

interface Step {
  /** Complete blocks. */
  readonly blocks: readonly Block[]
  /** The growing block, if there is no complete one. */
  readonly last?: Block | undefined
}

function nextBlocks(rest: string, at: number): Step {
  const fenced = fence(rest, at)
  if (fenced !== undefined) return fenced
  const { nodes, starts, formulas, openFormula } = parseMarkdown(rest, true)
  const start = starts.at(-1) ?? 0
  // Until its first line is complete, the last block may still turn out to continue the previous one. A table may do so
  // until its second line is complete.
  const line = rest.indexOf('\n', start)
  const isDecided = line >= 0 && (nodes.at(-1)?.type !== 'table' || rest.includes('\n', line + 1))
  // After an empty list item that ends with a carriage return, the parser gives the next block the start of the list.
  if (nodes.length > 1 && start > 0 && isDecided) {
    return { blocks: blocksOf(nodes.slice(0, -1), starts, rest.slice(0, start), at) }
  }
  if (rest.trim() === '') return { blocks: [] }
  const visible = dropUndecidedEnd(rest.slice(0, openFormula))
  const closed = closeOpenMarkup(visible, formulas)
  return { blocks: [], last: { at, source: rest, nodes: parseMarkdown(closed, true).nodes } }
}

/** Finds a code block by its fences, however long it is. */
function fence(rest: string, at: number): Step | undefined {
  const opening = FENCE.exec(rest)
  const marks = opening?.[2]
  // The language is unknown until the first line is complete.
  if (opening === null || marks === undefined) return undefined
  const closing = new RegExp(`\\n {0,3}${marks[0]}{${marks.length},}[ \\t]*(\\n|$)`, 'g')
  closing.lastIndex = opening[0].length - 1
  const close = closing.exec(rest)
  const body = rest.slice(opening[0].length, close === null ? rest.length : close.index + 1)
  // The start of a closing fence is not code.
  const visible = body.replace(new RegExp(`(^|\\n)[ \\t]*${marks[0]}*$`), '$1')
  const nodes = [code(opening[3] ?? '', dedent(visible, (opening[1] ?? '').length))]
  if (close?.[1] !== '\n') return { blocks: [], last: { at, source: rest, nodes } }
  return { blocks: [{ at, source: rest.slice(0, close.index + close[0].length), nodes }] }
}

function code(info: string, text: string): MarkdownNode {
  const [lang = ''] = info.trim().split(/\s+/)
  return {
    type: 'code',
    lang: lang === '' ? null : lang,
    meta: null,
    value: text.endsWith('\n') ? text.slice(0, -1) : text,
  }
}

function dedent(text: string, indent: number): string {
  return indent === 0 ? text : text.replaceAll(new RegExp(`^ {1,${indent}}`, 'gm'), '')
}

/** One block for each node. Text between two nodes belongs to the first. @param at the offset of the source */
function blocksOf(
  nodes: readonly MarkdownNode[],
  starts: readonly number[],
  source: string,
  at: number,
): readonly Block[] {
  return nodes.map((node, index) => {
    const from = index === 0 ? 0 : (starts[index] ?? 0)
    const until = index === nodes.length - 1 ? undefined : starts[index + 1]
    return { at: at + from, source: source.slice(from, until), nodes: [node] }
  })
}

function end(block: Block | undefined): number {
  return block === undefined ? 0 : block.at + block.source.length
}
