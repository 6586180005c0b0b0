// InParts: renders the content of a long paragraph in parts, which browsers lay out one by one, as LongText does for one text.
import { memo, type ReactNode } from 'react'
import { useRenderSlot } from '../shared/render-slots.ts'
import { PART_CHARS } from '../shared/text-parts.ts'
import { inChunks, isSame, type Props, sizeOf } from './in-chunks.tsx'
import type { MarkdownNode, NodeOf } from './parse-markdown.ts'

/** Renders the first part, and the others in later frames. */
export function inParts<Node extends MarkdownNode>({ nodes, context, render }: Props<Node>): ReactNode {
  const [first, ...others] = partsOf(nodes)
  const props = (part: readonly Node[], isLast: boolean): Props<Node> => ({
    nodes: part,
    context: { ...context, growing: context.growing && isLast },
    render,
  })
  return [
    inChunks(props(first ?? [], others.length === 0)),
    ...others.map((part, at) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: nodes are only appended.
      <Part key={at} {...(props(part, at === others.length - 1) as unknown as Props<MarkdownNode>)} />
    )),
  ]
}

const Part = memo(function Part(props: Props<MarkdownNode>) {
  return useRenderSlot(sizeOf(props.nodes)) ? <span className='part'>{inChunks(props)}</span> : null
}, isSame)

/** Scripts whose words browsers look up in a dictionary: Thai, Lao, Burmese and Khmer. */
const LOOKED_UP = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]/
/** Browsers lay a table out again and again while it is filled. */
const LOOKED_UP_CHARS = 8_000

/** Whether browsers should not look for the words of a table. */
export function isSlowTable(table: NodeOf<'table'>): boolean {
  if (lengthOf(table) <= LOOKED_UP_CHARS) return false
  const waiting: MarkdownNode[] = [table]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if ('value' in node && LOOKED_UP.test(node.value)) return true
    if ('children' in node) for (const child of node.children) waiting.push(child)
  }
  return false
}

/** Groups of about PART_CHARS. What is longer itself, and has parts inside, begins a group. */
function partsOf<Node extends MarkdownNode>(nodes: readonly Node[]): readonly (readonly Node[])[] {
  const parts: Node[][] = []
  let length = PART_CHARS
  for (const node of nodes) {
    const own = lengthOf(node)
    if (length >= PART_CHARS || ('children' in node && own > PART_CHARS)) {
      parts.push([])
      length = 0
    }
    parts.at(-1)?.push(node)
    length += own
  }
  return parts
}

const lengths = new WeakMap<MarkdownNode, number>()

/** UTF-16 code units. */
function lengthOf(node: MarkdownNode): number {
  const known = lengths.get(node)
  if (known !== undefined) return known
  let length = 'value' in node ? node.value.length : 1
  if ('children' in node) for (const child of node.children) length += lengthOf(child)
  lengths.set(node, length)
  return length
}
