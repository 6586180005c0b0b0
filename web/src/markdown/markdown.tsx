// Markdown: renders a model's text, also while it grows. Complete blocks are not parsed or rendered again, and a
// cooldown limits the parser to a share of the time, however long the text is.
import { memo, useEffect, useReducer, useState } from 'react'
import { cooldownAfter, NO_COOLDOWN, remaining } from '../shared/cooldown.ts'
import { type Block, type GrowingMarkdown, growMarkdown, NO_MARKDOWN } from './growing-markdown.ts'
import { MarkdownNodes } from './markdown-nodes.tsx'

interface Props {
  readonly text: string
  /** Whether the text is complete. */
  readonly ended: boolean
}

export const Markdown = memo(function Markdown({ text, ended }: Props) {
  const { complete, last } = useGrowingMarkdown(text, ended)
  return (
    <div className='text'>
      {complete.map((block) => (
        <MarkdownBlock key={block.at} block={block} growing={false} />
      ))}
      {last === undefined ? null : <MarkdownBlock key={last.at} block={last} growing={!ended} />}
    </div>
  )
})

const MarkdownBlock = memo(function MarkdownBlock({ block, growing }: { block: Block; growing: boolean }) {
  return <MarkdownNodes nodes={block.nodes} growing={growing} />
})

/** The blocks of the text. They may lag behind it while it grows. */
function useGrowingMarkdown(text: string, ended: boolean): GrowingMarkdown {
  const [parser] = useState(() => new ThrottledParser())
  const [, update] = useReducer((count: number) => count + 1, 0)
  const state = parser.parse(text, ended)
  // The next token, or this timer if none arrives, parses the rest.
  useEffect(() => {
    if (state.text.length === text.length && state.ended === ended) return undefined
    const timer = setTimeout(update, parser.wait())
    return () => clearTimeout(timer)
  })
  return state
}

class ThrottledParser {
  #state: GrowingMarkdown = NO_MARKDOWN
  #cooldown = NO_COOLDOWN

  /** Returns the same state for the same text, so that React may render twice. */
  parse(text: string, ended: boolean): GrowingMarkdown {
    if (this.#state.text === text && this.#state.ended === ended) return this.#state
    const startedAt = performance.now()
    // The end of an answer is parsed without delay.
    if (!ended && remaining(this.#cooldown, startedAt) > 0) return this.#state
    this.#state = growMarkdown(this.#state, text, ended)
    this.#cooldown = cooldownAfter(startedAt, performance.now())
    return this.#state
  }

  wait(): number {
    return remaining(this.#cooldown, performance.now())
  }
}
