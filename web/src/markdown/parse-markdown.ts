// ParseMarkdown: parses CommonMark with tables, strikethrough, task lists and bare links. Pure. HTML is disabled: tags
// are plain text. The tree is never deeper than MAX_DEPTH, so that later steps may recurse.
import { fromMarkdown, type Options } from 'mdast-util-from-markdown'
import { gfmAutolinkLiteralFromMarkdown } from 'mdast-util-gfm-autolink-literal'
import { gfmStrikethroughFromMarkdown } from 'mdast-util-gfm-strikethrough'
import { gfmTableFromMarkdown } from 'mdast-util-gfm-table'
import { gfmTaskListItemFromMarkdown } from 'mdast-util-gfm-task-list-item'
import { cjkFriendlyExtension } from 'micromark-extension-cjk-friendly'
import { gfmStrikethroughCjkFriendly } from 'micromark-extension-cjk-friendly-gfm-strikethrough'
import { gfmTable } from 'micromark-extension-gfm-table'
import { gfmTaskListItem } from 'micromark-extension-gfm-task-list-item'
import { bareLinks } from './bare-links.ts'
import { shallowContainers } from './shallow-containers.ts'
import { slicedAttention } from './sliced-attention.ts'

export type MarkdownNode = ReturnType<typeof fromMarkdown>['children'][number]
export type NodeOf<Type extends MarkdownNode['type']> = Extract<MarkdownNode, { type: Type }>

export interface ParsedMarkdown {
  /** The top-level nodes, without positions. */
  readonly nodes: readonly MarkdownNode[]
  /** The offset in the source of each node's first line. */
  readonly starts: readonly number[]
}

/** Levels of the tree. Deeper nodes, which only nested inline markup has, are replaced by their source. */
export const MAX_DEPTH = 120

const OPTIONS: Options = {
  extensions: [
    gfmTable(),
    slicedAttention(cjkFriendlyExtension()),
    slicedAttention(gfmStrikethroughCjkFriendly({ singleTilde: false })),
    gfmTaskListItem(),
    bareLinks(),
    shallowContainers(),
    { disable: { null: ['htmlFlow', 'htmlText'] } },
  ],
  mdastExtensions: [
    gfmTableFromMarkdown(),
    gfmStrikethroughFromMarkdown(),
    gfmTaskListItemFromMarkdown(),
    // Its transform searches the tree recursively for links that the parser leaves out, such as `xmpp:`.
    { ...gfmAutolinkLiteralFromMarkdown(), transforms: [] },
  ],
}

/** @throws RangeError for some input of extreme nesting */
export function parseMarkdown(source: string): ParsedMarkdown {
  const root = fromMarkdown(source, OPTIONS)
  const starts = root.children.map((node) => source.lastIndexOf('\n', (node.position?.start.offset ?? 0) - 1) + 1)
  simplify(root, source)
  return { nodes: root.children, starts }
}

interface Parent {
  readonly children: MarkdownNode[]
}

/**
 * Removes positions, replaces nodes that are too deep, and resolves references to definitions. It walks the tree level by
 * level, because the parser's tree may be too deep for recursion.
 */
function simplify(root: Parent, source: string): void {
  const definitions = new Map<string, NodeOf<'definition'>>()
  const references: (() => void)[] = []
  let level = [root]
  for (let depth = 1; level.length > 0; depth += 1) {
    const below: Parent[] = []
    for (const { children } of level) {
      for (const [at, node] of children.entries()) {
        const { position } = node
        delete node.position
        if (node.type === 'definition' && !definitions.has(node.identifier)) definitions.set(node.identifier, node)
        if (node.type === 'linkReference' || node.type === 'imageReference') {
          references.push(() => {
            children[at] = resolved(node, definitions.get(node.identifier)?.url ?? '')
          })
        }
        if (!('children' in node)) continue
        if (depth < MAX_DEPTH || PARTS.has(node.type)) below.push(node as Parent)
        else children[at] = { type: 'text', value: source.slice(position?.start.offset, position?.end.offset) }
      }
    }
    level = below
  }
  for (const resolve of references) resolve()
}

function resolved(node: NodeOf<'linkReference'> | NodeOf<'imageReference'>, url: string): MarkdownNode {
  return node.type === 'linkReference'
    ? { type: 'link', url, title: null, children: node.children }
    : { type: 'image', url, title: null, alt: node.alt ?? null }
}

/** Nodes that only make sense in their parent. */
const PARTS: ReadonlySet<MarkdownNode['type']> = new Set(['listItem', 'tableRow', 'tableCell'])
