// MarkdownNodes: renders a Markdown tree. A model's text can only become the elements listed here: no HTML, no images
// that the browser would fetch, and no unsafe links.
import type { ReactNode } from 'react'
import { CodeBlock } from '../code/code-block.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import type { MarkdownNode, NodeOf } from './parse-markdown.ts'
import { safeLink } from './safe-link.ts'

interface Props {
  readonly nodes: readonly MarkdownNode[]
  /** Whether the last node may still grow. */
  readonly growing: boolean
}

/** Deeper nodes are replaced by an ellipsis. */
const MAX_DEPTH = 40

export function MarkdownNodes({ nodes, growing }: Props): ReactNode {
  return children(nodes, { growing, depth: 0, tight: false })
}

interface Context {
  readonly growing: boolean
  readonly depth: number
  /** In a tight list, where a paragraph has no margins. */
  readonly tight: boolean
}

function children(nodes: readonly MarkdownNode[], context: Context): ReactNode {
  if (context.depth > MAX_DEPTH) return '…'
  const last = nodes.length - 1
  // Nodes are only appended, so the index is a stable key.
  return nodes.map((node, at) => element(node, at, { ...context, growing: context.growing && at === last }))
}

function element(node: MarkdownNode, key: number, context: Context): ReactNode {
  const inside = (nodes: readonly MarkdownNode[]): ReactNode =>
    children(nodes, { ...context, depth: context.depth + 1 })
  switch (node.type) {
    case 'text':
      return node.value
    case 'paragraph':
      return context.tight ? <span key={key}>{inside(node.children)}</span> : <p key={key}>{inside(node.children)}</p>
    case 'heading':
      return heading(node.depth, key, inside(node.children))
    case 'strong':
      return <strong key={key}>{inside(node.children)}</strong>
    case 'emphasis':
      return <em key={key}>{inside(node.children)}</em>
    case 'delete':
      return <del key={key}>{inside(node.children)}</del>
    case 'inlineCode':
      return <code key={key}>{node.value}</code>
    case 'break':
      return '\n'
    case 'link':
      return link(node.url, key, inside(node.children))
    case 'image':
      return link(node.url, key, node.alt === null || node.alt === undefined || node.alt === '' ? 'Image' : node.alt)
    case 'linkReference':
      return <span key={key}>{inside(node.children)}</span>
    case 'imageReference':
      return node.alt ?? 'Image'
    case 'thematicBreak':
      return <hr key={key} />
    case 'blockquote':
      return (
        <blockquote key={key}>
          {children(node.children, { ...context, depth: context.depth + 1, tight: false })}
        </blockquote>
      )
    case 'code':
      return <CodeBlock key={key} code={node.value} lang={node.lang ?? ''} growing={context.growing} />
    case 'list': {
      const items = node.children.map((item, at) =>
        listItem(item, at, {
          depth: context.depth + 1,
          growing: context.growing && at === node.children.length - 1,
          tight: node.spread !== true && node.children.every(({ spread }) => spread !== true),
        }),
      )
      if (node.ordered !== true) return <ul key={key}>{items}</ul>
      return (
        <ol key={key} start={node.start ?? 1}>
          {items}
        </ol>
      )
    }
    case 'table':
      return table(node, key, context)
    case 'html':
      // The parser creates no HTML nodes. If it did, a tag would be text.
      return node.value
    default:
      // Definitions are invisible.
      return null
  }
}

/** Headings start at h3, below the page's own. The first two levels look the same. */
function heading(depth: 1 | 2 | 3 | 4 | 5 | 6, key: number, content: ReactNode): ReactNode {
  if (depth <= 2) return <h3 key={key}>{content}</h3>
  if (depth === 3) return <h4 key={key}>{content}</h4>
  if (depth === 4) return <h5 key={key}>{content}</h5>
  return <h6 key={key}>{content}</h6>
}

function link(url: string, key: number, content: ReactNode): ReactNode {
  const href = safeLink(url)
  if (href === undefined) return <span key={key}>{content}</span>
  return (
    <a key={key} href={href} target='_blank' rel='noopener noreferrer nofollow ugc' title={href}>
      {content}
    </a>
  )
}

function listItem(item: NodeOf<'listItem'>, key: number, context: Context): ReactNode {
  const content = children(item.children, context)
  if (typeof item.checked !== 'boolean') return <li key={key}>{content}</li>
  return (
    <li key={key} className='task'>
      <input type='checkbox' checked={item.checked} readOnly disabled aria-label={item.checked ? 'Done' : 'To do'} />
      <div>{content}</div>
    </li>
  )
}

function table(node: NodeOf<'table'>, key: number, context: Context): ReactNode {
  const [head, ...rows] = node.children
  const align = node.align ?? []
  if (head === undefined) return null
  // A growing row has fewer cells than the first row: the missing ones are empty.
  const row = (Cell: 'th' | 'td', { children: cells }: NodeOf<'tableRow'>, at: number): ReactNode => (
    <tr key={at}>
      {head.children.map((_, column) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: cells never move.
        <Cell key={column} className={align[column] ?? undefined}>
          {children(cells[column]?.children ?? [], { ...context, depth: context.depth + 1 })}
        </Cell>
      ))}
    </tr>
  )
  return (
    <ScrollBox key={key} className='table' label='Table'>
      <table>
        <thead>{row('th', head, 0)}</thead>
        <tbody>{rows.map((each, at) => row('td', each, at))}</tbody>
      </table>
    </ScrollBox>
  )
}
