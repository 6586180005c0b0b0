// ParseMarkdown: parses CommonMark with tables, strikethrough, task lists, bare links, footnotes and formulas. Pure. HTML is
// disabled: tags are plain text, except `<br>` in cells. The tree is never deeper than MAX_DEPTH, so that later steps may
// recurse.
import { fromMarkdown, type Options } from 'mdast-util-from-markdown'
import { gfmAutolinkLiteralFromMarkdown } from 'mdast-util-gfm-autolink-literal'
import { gfmFootnoteFromMarkdown } from 'mdast-util-gfm-footnote'
import { gfmStrikethroughFromMarkdown } from 'mdast-util-gfm-strikethrough'
import { gfmTableFromMarkdown } from 'mdast-util-gfm-table'
import { gfmTaskListItemFromMarkdown } from 'mdast-util-gfm-task-list-item'
import { cjkFriendlyExtension } from 'micromark-extension-cjk-friendly'
import { gfmStrikethroughCjkFriendly } from 'micromark-extension-cjk-friendly-gfm-strikethrough'
import { gfmTable } from 'micromark-extension-gfm-table'
import { gfmTaskListItem } from 'micromark-extension-gfm-task-list-item'
import { bareLinks } from './bare-links.ts'
import { footnoteSyntax, numbered } from './footnotes.ts'
import { formulaFromMarkdown, formulaSyntax } from './formula-syntax.ts'
import { lineBreakTag, lineBreakTagFromMarkdown } from './line-break-tag.ts'
import { installLinearEdits } from './linear-edits.ts'
import { shallowContainers } from './shallow-containers.ts'
import { slicedAttention } from './sliced-attention.ts'

export type MarkdownNode = ReturnType<typeof fromMarkdown>['children'][number]
export type NodeOf<Type extends MarkdownNode['type']> = Extract<MarkdownNode, { type: Type }>

/** Offsets in the source: from and to. */
export type Range = readonly [from: number, to: number]

export interface ParsedMarkdown {
  /** The top-level nodes, without positions. */
  readonly nodes: readonly MarkdownNode[]
  /** The offset in the source of each node's first line. */
  readonly starts: readonly number[]
  /** Where the formulas are, in order. */
  readonly formulas: readonly Range[]
  /** Where a formula begins that has no end yet, if the source may grow. */
  readonly openFormula: number | undefined
}

/** Levels of the tree. Deeper nodes, which only nested inline markup has, are replaced by their source. */
export const MAX_DEPTH = 120

/** Formulas of one text. Browsers take long to lay out thousands: the others are text. */
export const MAX_FORMULAS = 1_000

/** The last opening of a formula without an end, and where the search for its end stopped. */
let open: Range = [0, 0]

function options(growing: boolean): Options {
  return {
    extensions: [
      gfmTable(),
      slicedAttention(cjkFriendlyExtension()),
      slicedAttention(gfmStrikethroughCjkFriendly({ singleTilde: false })),
      gfmTaskListItem(),
      bareLinks(),
      shallowContainers(),
      footnoteSyntax(growing),
      formulaSyntax((from, to) => {
        if (to > open[1]) open = [from, to]
      }),
      lineBreakTag,
      { disable: { null: ['htmlFlow', 'htmlText'] } },
    ],
    mdastExtensions: [
      gfmTableFromMarkdown(),
      gfmStrikethroughFromMarkdown(),
      gfmTaskListItemFromMarkdown(),
      gfmFootnoteFromMarkdown(),
      formulaFromMarkdown,
      lineBreakTagFromMarkdown,
      // Its transform searches the tree recursively for links that the parser leaves out, such as `xmpp:`.
      { ...gfmAutolinkLiteralFromMarkdown(), transforms: [] },
    ],
  }
}

installLinearEdits()

const COMPLETE = options(false)
const GROWING = options(true)

/**
 * @param growing whether the source is a part of a text that grows: its footnotes have no numbers yet
 * @throws RangeError for some input of extreme nesting
 */
export function parseMarkdown(source: string, growing = false): ParsedMarkdown {
  open = [0, 0]
  const root = fromMarkdown(source, growing ? GROWING : COMPLETE)
  const openFormula = open[1] > 0 && source.slice(open[1]).trim() === '' ? open[0] : undefined
  const starts = root.children.map((node) => source.lastIndexOf('\n', (node.position?.start.offset ?? 0) - 1) + 1)
  const { formulas, footnotes } = simplify(root, source)
  const nodes: MarkdownNode[] = root.children
  if (!growing && footnotes.length > 0) {
    nodes.push({ type: 'footnotes', children: footnotes })
    starts.push(source.length)
  }
  return { nodes, starts, formulas, openFormula }
}

interface Parent {
  readonly children: MarkdownNode[]
}

interface Found {
  readonly formulas: readonly Range[]
  readonly footnotes: NodeOf<'footnoteDefinition'>[]
}

/**
 * Removes positions, replaces nodes that are too deep, resolves references to definitions, and numbers footnotes. It walks
 * the tree level by level, because the parser's tree may be too deep for recursion.
 */
function simplify(root: Parent, source: string): Found {
  const definitions = new Map<string, NodeOf<'definition'>>()
  const references: (() => void)[] = []
  const found: {
    readonly node: MarkdownNode
    readonly range: Range
    readonly children: MarkdownNode[]
    readonly at: number
  }[] = []
  let level = [root]
  for (let depth = 1; level.length > 0; depth += 1) {
    const below: Parent[] = []
    for (const { children } of level) {
      for (const [at, node] of children.entries()) {
        const range = [node.position?.start.offset ?? 0, node.position?.end.offset ?? 0] as const
        delete node.position
        if (node.type === 'definition' && !definitions.has(node.identifier)) definitions.set(node.identifier, node)
        if (node.type === 'linkReference' || node.type === 'imageReference') {
          references.push(() => {
            children[at] = resolved(node, definitions.get(node.identifier)?.url ?? '')
          })
        }
        if (COLLECTED.has(node.type)) found.push({ node, range, children, at })
        // A footnote leaves an empty one at its place.
        if (node.type === 'footnoteDefinition') children[at] = { ...node, children: [] }
        if (!('children' in node)) continue
        if (depth < MAX_DEPTH || PARTS.has(node.type)) below.push(node as Parent)
        else children[at] = { type: 'text', value: source.slice(...range) }
      }
    }
    level = below
  }
  for (const resolve of references) resolve()
  found.sort((a, b) => a.range[0] - b.range[0])
  const formulas = found.filter(({ node }) => node.type === 'formula')
  for (const { children, at, range } of formulas.slice(MAX_FORMULAS)) {
    children[at] = { type: 'text', value: source.slice(...range) }
  }
  const nodes = found.map(({ node }) => node)
  return {
    formulas: formulas.map(({ range }) => range),
    footnotes: numbered(
      nodes.filter((node) => node.type === 'footnoteReference'),
      nodes.filter((node) => node.type === 'footnoteDefinition'),
    ),
  }
}

const COLLECTED: ReadonlySet<MarkdownNode['type']> = new Set(['formula', 'footnoteReference', 'footnoteDefinition'])

function resolved(node: NodeOf<'linkReference'> | NodeOf<'imageReference'>, url: string): MarkdownNode {
  return node.type === 'linkReference'
    ? { type: 'link', url, title: null, children: node.children }
    : { type: 'image', url, title: null, alt: node.alt ?? null }
}

/** Nodes that only make sense in their parent. */
const PARTS: ReadonlySet<MarkdownNode['type']> = new Set(['listItem', 'tableRow', 'tableCell'])
