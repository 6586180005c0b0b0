// Markdown: renders a model's text, also while it grows. Complete blocks are not parsed or rendered again. A text that
// cannot be parsed or rendered is shown as it is.
import { memo, useEffect, useReducer, useState } from 'react'
import { displayText } from '../shared/display-text.ts'
import { ErrorBoundary } from '../shared/error-boundary.tsx'
import { LongText } from '../shared/long-text.tsx'
import { textSize, useRenderSlot } from '../shared/render-slots.ts'
import { FootnoteScope } from './footnote-list.tsx'
import type { Block } from './growing-markdown.ts'
import { MarkdownBlocks } from './markdown-nodes.tsx'
import { MarkdownParser } from './markdown-parser.ts'

interface Props {
  readonly text: string
  /** Whether the text is complete. */
  readonly ended: boolean
}

export const Markdown = memo(function Markdown({ text, ended }: Props) {
  const shown = displayText(text)
  const { blocks, busy } = useBlocks(shown, ended)
  const plain = <PlainText text={shown} ended={ended} />
  return (
    <div className='text' aria-busy={busy}>
      <ErrorBoundary fallback={plain}>
        {blocks === undefined ? (
          plain
        ) : (
          <FootnoteScope>
            <MarkdownBlocks blocks={blocks} growing={!ended} />
          </FootnoteScope>
        )}
      </ErrorBoundary>
    </div>
  )
})

function PlainText({ text, ended }: Props) {
  const hasSlot = useRenderSlot(textSize(text))
  return hasSlot ? (
    <p dir='auto'>
      <LongText text={text} growing={!ended} />
    </p>
  ) : null
}

interface Parsed {
  /** They may lag behind the text; undefined if there are none yet, or if it cannot be parsed. */
  readonly blocks: readonly Block[] | undefined
  /** Whether they lag behind a complete text. Omitted: no. */
  readonly busy?: true
}

function useBlocks(text: string, ended: boolean): Parsed {
  const [parser] = useState(() => new MarkdownParser())
  const [, update] = useReducer((count: number) => count + 1, 0)
  parser.parseShort(text, ended)
  useEffect(() => parser.parseLater(text, ended, update))
  useEffect(() => () => parser.close(), [parser])
  const { state, failed } = parser
  const busy = ended && !parser.isDone(text, true) ? { busy: true as const } : {}
  if (failed || (state.text === '' && text !== '')) return { blocks: undefined, ...busy }
  return { blocks: state.last === undefined ? state.complete : [...state.complete, state.last], ...busy }
}
