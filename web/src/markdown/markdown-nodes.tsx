// MarkdownNodes: nodes of a Markdown tree as elements. Only what is listed here can come out of a model's text: no
// HTML, no picture that would be fetched, no link that is not safe.
import type { ReactNode } from 'react'
import { CodeBlock } from '../code/code-block.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import type { MarkdownNode, NodeOf } from './parse-markdown.ts'
import { safeLink } from './safe-link.ts'

interface Props {
  readonly nodes: readonly MarkdownNode[]
  /** Whether the last of them may go on. */
  readonly growing: boolean
}

/** A parser that recurses only by containers gives no deeper trees than this; what lies deeper is left out. */
const MAX_DEPTH = 40

export function MarkdownNodes({ nodes, growing }: Props): ReactNode {
  return children(nodes, { growing, depth: 0, tight: false })
}

interface Place {
  readonly growing: boolean
  readonly depth: number
  /** In a list whose items are not apart: its paragraphs are lines. */
  readonly tight: boolean
}

function children(nodes: readonly MarkdownNode[], place: Place): ReactNode {
  if (place.depth > MAX_DEPTH) return '…'
  const last = nodes.length - 1
  // Nodes are only ever added at the end, so their place is their key.
  return nodes.map((node, at) => element(node, at, { ...place, growing: place.growing && at === last }))
}

function element(node: MarkdownNode, key: number, place: Place): ReactNode {
  const inside = (nodes: readonly MarkdownNode[]): ReactNode => children(nodes, { ...place, depth: place.depth + 1 })
  switch (node.type) {
    case 'text':
      return node.value
    case 'paragraph':
      return place.tight ? <span key={key}>{inside(node.children)}</span> : <p key={key}>{inside(node.children)}</p>
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
        <blockquote key={key}>{children(node.children, { ...place, depth: place.depth + 1, tight: false })}</blockquote>
      )
    case 'code':
      return <CodeBlock key={key} code={node.value} lang={node.lang ?? ''} growing={place.growing} />
    case 'list': {
      const items = node.children.map((item, at) =>
        listItem(item, at, {
          depth: place.depth + 1,
          growing: place.growing && at === node.children.length - 1,
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
      return table(node, key, place)
    case 'html':
      // The parser makes none; should it, a tag is text.
      return node.value
    default:
      // Definitions are read, not shown.
      return null
  }
}

/** Under the page's own headings; a title and a heading of the first order stand alike. */
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

function listItem(item: NodeOf<'listItem'>, key: number, place: Place): ReactNode {
  const content = children(item.children, place)
  if (typeof item.checked !== 'boolean') return <li key={key}>{content}</li>
  return (
    <li key={key} className='task'>
      <input type='checkbox' checked={item.checked} readOnly disabled aria-label={item.checked ? 'Done' : 'To do'} />
      <div>{content}</div>
    </li>
  )
}

function table(node: NodeOf<'table'>, key: number, place: Place): ReactNode {
  const [head, ...rows] = node.children
  const align = node.align ?? []
  if (head === undefined) return null
  // A row that is still being written has fewer cells than the first: the rest of them are empty.
  const row = (Cell: 'th' | 'td', { children: cells }: NodeOf<'tableRow'>, at: number): ReactNode => (
    <tr key={at}>
      {head.children.map((_, column) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a cell's place is what it is.
        <Cell key={column} className={align[column] ?? undefined}>
          {children(cells[column]?.children ?? [], { ...place, depth: place.depth + 1 })}
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
