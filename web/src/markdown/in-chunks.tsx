// InChunks: renders many Markdown nodes over several frames, and keeps nodes that do not change from rendering again.
import { memo, type ReactNode } from 'react'
import { textSize, useRenderSlot } from '../shared/render-slots.ts'
import type { MarkdownNode, NodeOf } from './parse-markdown.ts'

export type Alignment = NonNullable<NodeOf<'table'>['align']>[number]

export interface Context {
  /** Whether the last node may still grow. */
  readonly growing: boolean
  /** In a tight list, where a paragraph has no margins. */
  readonly tight: boolean
  /** The direction of the outermost block. Undefined: left to right. */
  readonly dir: 'rtl' | undefined
  /** The alignment of a table's columns. */
  readonly align: readonly Alignment[]
}

export interface Props<Node extends MarkdownNode> {
  readonly nodes: readonly Node[]
  /** The index of the first node in its parent. */
  readonly from?: number
  readonly context: Context
  readonly render: (node: Node, key: number, context: Context) => ReactNode
}

/** Elements that render together. */
const CHUNK = 100
/** Code blocks and formulas cost as much as this many elements. */
const COSTS: Partial<Record<MarkdownNode['type'], number>> = { code: 20, formula: 10, image: 5 }

/** Renders the first nodes, and the others in later frames. */
export function inChunks<Node extends MarkdownNode>({ nodes, context, render }: Props<Node>): ReactNode {
  const chunks = chunksOf(nodes)
  let end = 0
  return chunks.map((chunk, at) => {
    const growing = context.growing && at === chunks.length - 1
    const props = { nodes: chunk, from: end, context: { ...context, growing }, render }
    end += chunk.length
    // biome-ignore lint/suspicious/noArrayIndexKey: nodes are only appended.
    return at === 0 ? elements(props) : <Chunk key={`chunk ${at}`} {...(props as unknown as Props<MarkdownNode>)} />
  })
}

function elements<Node extends MarkdownNode>({ nodes, from = 0, context, render }: Props<Node>): ReactNode {
  const last = nodes.length - 1
  // Nodes are only appended, so the index is a stable key.
  return nodes.map((node, at) => render(node, from + at, { ...context, growing: context.growing && at === last }))
}

const Chunk = memo(function Chunk(props: Props<MarkdownNode>) {
  return useRenderSlot(sizeOf(props.nodes)) ? elements(props) : null
}, isSame)

export function isSame(
  { nodes: before, context: was }: Props<MarkdownNode>,
  { nodes, context: is }: Props<MarkdownNode>,
): boolean {
  return (
    before.length === nodes.length &&
    before.every((node, at) => node === nodes[at]) &&
    was.growing === is.growing &&
    was.tight === is.tight &&
    was.align === is.align &&
    was.dir === is.dir
  )
}

/** Groups of about CHUNK elements. All but the last group stay the same while nodes are appended. */
function chunksOf<Node extends MarkdownNode>(nodes: readonly Node[]): readonly (readonly Node[])[] {
  const chunks: Node[][] = []
  let size = CHUNK
  for (const node of nodes) {
    if (size >= CHUNK) {
      chunks.push([])
      size = 0
    }
    chunks.at(-1)?.push(node)
    size += sizeOf([node])
  }
  return chunks
}

const sizes = new WeakMap<MarkdownNode, number>()

/** The number of elements in these nodes. */
export function sizeOf(nodes: readonly MarkdownNode[]): number {
  let sum = 0
  for (const node of nodes) {
    const own = (COSTS[node.type] ?? 1) + ('value' in node ? textSize(node.value) : 0)
    const size = sizes.get(node) ?? ('children' in node ? own + sizeOf(node.children) : own)
    sizes.set(node, size)
    sum += size
  }
  return sum
}
