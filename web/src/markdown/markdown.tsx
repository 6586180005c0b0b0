// Markdown: a text of the model as it is read, also while it grows. Blocks that are complete are not parsed or
// rendered again; the parser never takes more than a share of the time, however long the text is.
import { memo, useEffect, useReducer, useState } from 'react'
import { AT_ONCE, rested, wait } from '../shared/pace.ts'
import { type Block, type GrowingMarkdown, grown, NO_MARKDOWN } from './growing-markdown.ts'
import { MarkdownNodes } from './markdown-nodes.tsx'

interface Props {
  readonly text: string
  /** Whether nothing more will come. */
  readonly ended: boolean
}

export const Markdown = memo(function Markdown({ text, ended }: Props) {
  const { complete, last } = useGrown(text, ended)
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

/** The text's blocks, which may be a little behind the text while it grows. */
function useGrown(text: string, ended: boolean): GrowingMarkdown {
  const [feed] = useState(() => new MarkdownFeed())
  const [, lookAgain] = useReducer((count: number) => count + 1, 0)
  const held = feed.look(text, ended)
  // Set anew with each token: what is behind is caught up with by the next token, or by the clock when none comes.
  useEffect(() => {
    if (held.text.length === text.length && held.ended === ended) return undefined
    const timer = setTimeout(lookAgain, feed.wait())
    return () => clearTimeout(timer)
  })
  return held
}

class MarkdownFeed {
  #held: GrowingMarkdown = NO_MARKDOWN
  #pace = AT_ONCE

  /** The same for the same text, so that rendering twice is rendering once. */
  look(text: string, ended: boolean): GrowingMarkdown {
    if (this.#held.text === text && this.#held.ended === ended) return this.#held
    const began = performance.now()
    // An answer's end is shown with it, and not a moment later.
    if (!ended && wait(this.#pace, began) > 0) return this.#held
    this.#held = grown(this.#held, text, ended)
    this.#pace = rested(began, performance.now())
    return this.#held
  }

  wait(): number {
    return wait(this.#pace, performance.now())
  }
}
