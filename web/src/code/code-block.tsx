// CodeBlock: a code block with its language, a copy button and syntax highlighting. While somebody has selected a part of it, its
// text grows, but its colors stay as they are: new elements would lose the selection.
import { memo, type ReactNode, type RefObject, useEffect, useReducer, useRef, useState } from 'react'
import { BackgroundWorker } from '../shared/background-worker.ts'
import { CopyButton } from '../shared/copy-button.tsx'
import { GrowingText } from '../shared/growing-text.tsx'
import { textSize, useRenderSlot } from '../shared/render-slots.ts'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { finalBreaks } from '../shared/text-parts.ts'
import type { HighlightRequest } from './code-worker.ts'
import { type Chunk, type Run, withoutBreaks } from './highlighted-lines.ts'
import { IncrementalHighlighter } from './incremental-highlighter.ts'

interface Props {
  readonly code: string
  readonly lang: string
  /** Whether more text may follow. */
  readonly growing: boolean
}

/** Characters of a language's name. */
const LANG_MAX = 24

export const CodeBlock = memo(function CodeBlock({ code, lang, growing }: Props) {
  const name = lang.slice(0, LANG_MAX)
  const box = useRef<HTMLElement>(null)
  const chunks = useHighlighted(code, name.toLowerCase(), growing, box)
  return (
    <div className='code-block' dir='ltr'>
      <div className='code-head'>
        <span>{name === '' ? 'text' : name}</span>
        <CopyButton text={code} label='Copy code' />
      </div>
      <ScrollBox className='code' label={name === '' ? 'Code' : `Code, ${name}`}>
        <pre>
          <code ref={box}>
            {chunks.map((chunk, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: chunks are only appended.
              <Lines key={at} chunk={chunk} isFirst={at === 0} growing={growing && at === chunks.length - 1} />
            ))}
          </code>
        </pre>
      </ScrollBox>
    </div>
  )
})

interface LinesProps {
  readonly chunk: Chunk
  /** The other chunks are laid out in frames of their own. */
  readonly isFirst: boolean
  /** Whether more text may follow in this chunk. */
  readonly growing: boolean
}

const Lines = memo(function Lines({ chunk, isFirst, growing }: LinesProps) {
  const shown = useRenderSlot(isFirst ? 0 : textSize(chunk.text))
  const colored = useRenderSlot(chunk.runs.length)
  if (!shown) return null
  if (isFirst) return content(chunk, colored, growing)
  const breaks = finalBreaks(chunk.text)
  const text = chunk.text.slice(0, chunk.text.length - breaks.length)
  const runs = withoutBreaks(chunk.runs, breaks.length)
  return (
    <>
      <span className='part'>{content({ text, runs }, colored, growing)}</span>
      {breaks}
    </>
  )
})

function content({ text, runs }: Chunk, colored: boolean, growing: boolean): ReactNode {
  if (runs.every(({ kind }) => kind === undefined)) return <GrowingText text={text} growing={growing} />
  if (!colored) return text
  return runs.map((run, at) =>
    run.kind === undefined ? (
      run.text
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: runs never move.
      <span key={at} className={run.kind}>
        {run.text}
      </span>
    ),
  )
}

const worker = new BackgroundWorker<HighlightRequest, readonly Run[]>(
  () => new Worker(new URL('./code-worker.ts', import.meta.url), { type: 'module' }),
)

function useHighlighted(
  code: string,
  lang: string,
  growing: boolean,
  box: RefObject<HTMLElement | null>,
): readonly Chunk[] {
  const [highlighter] = useState(
    () =>
      new IncrementalHighlighter(
        () => performance.now(),
        (text, language, done) => worker.run({ code: text, lang: language }, done),
      ),
  )
  const [, update] = useReducer((count: number) => count + 1, 0)
  useEffect(() => {
    if (!isSelected(box.current)) return highlighter.highlightLater(code, lang, growing, update)
    const look = (): void => {
      if (!isSelected(box.current)) update()
    }
    document.addEventListener('selectionchange', look)
    return () => document.removeEventListener('selectionchange', look)
  })
  return highlighter.chunks(code, lang)
}

/** Whether somebody has selected a part of an element. */
function isSelected(element: HTMLElement | null): boolean {
  const selection = document.getSelection()
  return element !== null && selection !== null && !selection.isCollapsed && selection.containsNode(element, true)
}
