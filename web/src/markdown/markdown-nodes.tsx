// MarkdownNodes: renders blocks of Markdown trees. A model's text can only become the elements listed here: no HTML, no
// unsafe links, and no image of another host before a click.
import { memo, type ReactNode } from 'react'
import { CodeBlock } from '../code/code-block.tsx'
import { LongText } from '../shared/long-text.tsx'
import { useRenderSlot } from '../shared/render-slots.ts'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { Footnote, FootnoteMark, Footnotes } from './footnote-list.tsx'
import { ForeignLink } from './foreign-link.tsx'
import { FormulaView } from './formula.tsx'
import type { Block } from './growing-markdown.ts'
import { type Alignment, type Context, inChunks, sizeOf } from './in-chunks.tsx'
import { inParts, isSlowTable } from './in-parts.tsx'
import type { MarkdownNode, NodeOf } from './parse-markdown.ts'
import { Picture } from './picture.tsx'

interface Props {
  readonly blocks: readonly Block[]
  /** Whether the last block may still grow. */
  readonly growing: boolean
}

export function MarkdownBlocks({ blocks, growing }: Props): ReactNode {
  return blocks.map((block, at) => (
    <MarkdownBlock key={block.at} nodes={block.nodes} growing={growing && at === blocks.length - 1} />
  ))
}

interface BlockProps {
  readonly nodes: readonly MarkdownNode[]
  readonly growing: boolean
}

const MarkdownBlock = memo(function MarkdownBlock({ nodes, growing }: BlockProps) {
  const context: Context = { growing, tight: false, dir: directionOf(nodes), align: NONE }
  return useRenderSlot(sizeOf(nodes)) ? inChunks({ nodes, context, render: element }) : null
})

const NONE: readonly Alignment[] = []

function children(nodes: readonly MarkdownNode[], context: Context): ReactNode {
  return inChunks({ nodes, context, render: element })
}

/** The content of a paragraph, or of a part of one. */
function phrases(nodes: readonly MarkdownNode[], context: Context): ReactNode {
  return inParts({ nodes, context, render: element })
}

/** Characters that are searched for the first letter. */
const SEARCHED = 1_000
const RTL = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u

/**
 * The direction of a block, by its first letter. `dir=auto` would not see the blocks in it, which have their own; and the CSS
 * `unicode-bidi: plaintext` takes a second for a long text without letters.
 */
function directionOf(nodes: readonly MarkdownNode[]): 'rtl' | undefined {
  let left = SEARCHED
  // A block may have more nodes than a call may have arguments.
  const waiting = nodes.slice(0, SEARCHED).reverse()
  for (let node = waiting.pop(); node !== undefined && left > 0; node = waiting.pop()) {
    if ('children' in node) waiting.push(...node.children.slice(0, SEARCHED).reverse())
    if (node.type !== 'text') continue
    const letter = /\p{L}/u.exec(node.value.slice(0, left))?.[0]
    if (letter !== undefined) return RTL.test(letter) ? 'rtl' : undefined
    left -= node.value.length
  }
  return undefined
}

function element(node: MarkdownNode, key: number, context: Context): ReactNode {
  const { dir } = context
  switch (node.type) {
    case 'text':
      return <LongText key={key} text={node.value} growing={context.growing} />
    case 'paragraph': {
      const content = phrases(node.children, context)
      return context.tight ? (
        <span key={key}>{content}</span>
      ) : (
        <p key={key} dir='auto'>
          {content}
        </p>
      )
    }
    case 'heading':
      return heading(node.depth, key, phrases(node.children, context))
    case 'strong':
      return <strong key={key}>{phrases(node.children, context)}</strong>
    case 'emphasis':
      return <em key={key}>{phrases(node.children, context)}</em>
    case 'delete':
      return <del key={key}>{phrases(node.children, context)}</del>
    case 'inlineCode':
      return (
        <code key={key} dir='ltr'>
          <LongText text={node.value} />
        </code>
      )
    case 'break':
      return '\n'
    case 'link':
      return link(node, key, context)
    case 'image':
      return <Picture key={key} url={node.url} alt={node.alt ?? ''} />
    case 'formula':
      return <FormulaView key={key} tex={node.value} display={node.display} />
    case 'footnoteReference':
      // While the text grows, it has no number yet.
      if (node.number === undefined) return <sup key={key}>{node.label ?? node.identifier}</sup>
      return <FootnoteMark key={key} number={node.number} use={node.uses ?? 0} />
    case 'footnotes':
      return (
        <Footnotes key={key}>
          {inChunks({ nodes: node.children, context: { ...context, tight: false }, render: footnote })}
        </Footnotes>
      )
    case 'thematicBreak':
      return <hr key={key} />
    case 'blockquote':
      return (
        <blockquote key={key} dir={dir}>
          {children(node.children, { ...context, tight: false })}
        </blockquote>
      )
    case 'code':
      return <CodeBlock key={key} code={node.value} lang={node.lang ?? ''} growing={context.growing} />
    case 'list': {
      const tight = node.spread !== true && node.children.every(({ spread }) => spread !== true)
      const items = inChunks({ nodes: node.children, context: { ...context, tight }, render: listItem })
      if (node.ordered !== true)
        return (
          <ul key={key} dir={dir}>
            {items}
          </ul>
        )
      return (
        <ol key={key} dir={dir} start={node.start ?? 1}>
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
      // Definitions are invisible, references are resolved, and footnotes are at the end.
      return null
  }
}

/** Headings start at h3, below the page's own. The first two levels look the same. */
function heading(depth: 1 | 2 | 3 | 4 | 5 | 6, key: number, content: ReactNode): ReactNode {
  const Heading = depth <= 2 ? 'h3' : depth === 3 ? 'h4' : depth === 4 ? 'h5' : 'h6'
  return (
    <Heading key={key} dir='auto'>
      {content}
    </Heading>
  )
}

function link(node: NodeOf<'link'>, key: number, context: Context): ReactNode {
  const [only, ...others] = node.children
  if (only?.type === 'image' && others.length === 0) {
    return <Picture key={key} url={only.url} alt={only.alt ?? ''} href={node.url} />
  }
  return (
    <ForeignLink key={key} url={node.url}>
      {phrases(node.children, context)}
    </ForeignLink>
  )
}

function footnote(node: NodeOf<'footnoteDefinition'>, key: number, context: Context): ReactNode {
  return (
    <Footnote key={key} number={node.number} uses={node.uses ?? 0}>
      {children(node.children, context)}
    </Footnote>
  )
}

function listItem(item: NodeOf<'listItem'>, key: number, context: Context): ReactNode {
  const content = children(item.children, context)
  if (typeof item.checked !== 'boolean')
    return (
      <li key={key} dir='auto'>
        {content}
      </li>
    )
  return (
    <li key={key} className='task'>
      <input type='checkbox' checked={item.checked} readOnly disabled aria-label={item.checked ? 'Done' : 'To do'} />
      <div dir='auto'>{content}</div>
    </li>
  )
}

function table(node: NodeOf<'table'>, key: number, context: Context): ReactNode {
  const [head, ...rows] = node.children
  const inTable = { ...context, align: node.align ?? NONE }
  if (head === undefined) return null
  const columns = inTable.align.length
  if (columns > MAX_COLUMNS && columns * rows.length > MAX_CELLS) {
    return inChunks({ nodes: node.children, context, render: plainRow })
  }
  return (
    <ScrollBox key={key} className='table' label='Table'>
      <table dir={context.dir} className={isSlowTable(node) ? 'break-anywhere' : undefined}>
        <thead>{inChunks({ nodes: [head], context: inTable, render: headRow })}</thead>
        <tbody>{inChunks({ nodes: rows, context: inTable, render: bodyRow })}</tbody>
      </table>
    </ScrollBox>
  )
}

/** Browsers take long to lay out tables with more columns and cells, even if most are missing: their rows are text. */
const MAX_COLUMNS = 100
const MAX_CELLS = 20_000

function plainRow({ children: cells }: NodeOf<'tableRow'>, key: number, context: Context): ReactNode {
  return <p key={key}>{inParts({ nodes: cells, context, render: plainCell })}</p>
}

function plainCell(cell: NodeOf<'tableCell'>, key: number, context: Context): ReactNode {
  return <span key={key}>{phrases(cell.children, context)} | </span>
}

function headRow({ children: cells }: NodeOf<'tableRow'>, key: number, context: Context): ReactNode {
  return <tr key={key}>{inChunks({ nodes: cells, context, render: headCell })}</tr>
}

/** Missing cells are not filled up, because a table may have thousands of columns and of short rows. */
function bodyRow({ children: cells }: NodeOf<'tableRow'>, key: number, context: Context): ReactNode {
  const visible = cells.slice(0, context.align.length)
  return <tr key={key}>{inChunks({ nodes: visible, context, render: bodyCell })}</tr>
}

function headCell(cell: NodeOf<'tableCell'>, key: number, context: Context): ReactNode {
  return (
    <th key={key} dir='auto' className={context.align[key] ?? undefined}>
      {phrases(cell.children, context)}
    </th>
  )
}

function bodyCell(cell: NodeOf<'tableCell'>, key: number, context: Context): ReactNode {
  return (
    <td key={key} dir='auto' className={context.align[key] ?? undefined}>
      {phrases(cell.children, context)}
    </td>
  )
}
