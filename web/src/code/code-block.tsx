// CodeBlock: a code block with its language, a copy button and syntax highlighting.
import { memo, useEffect, useReducer, useState } from 'react'
import { BackgroundWorker } from '../shared/background-worker.ts'
import { CopyButton } from '../shared/copy-button.tsx'
import { useRenderSlot } from '../shared/render-slots.ts'
import { ScrollBox } from '../shared/scroll-box.tsx'
import type { HighlightRequest } from './code-worker.ts'
import type { Chunk, Run } from './highlighted-lines.ts'
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
  const chunks = useHighlighted(code, name.toLowerCase(), growing)
  return (
    <div className='code-block' dir='ltr'>
      <div className='code-head'>
        <span>{name === '' ? 'text' : name}</span>
        <CopyButton text={code} label='Copy code' />
      </div>
      <ScrollBox className='code' label={name === '' ? 'Code' : `Code, ${name}`}>
        <pre>
          <code>
            {chunks.map((chunk, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: chunks are only appended.
              <Lines key={at} chunk={chunk} />
            ))}
          </code>
        </pre>
      </ScrollBox>
    </div>
  )
})

const Lines = memo(function Lines({ chunk: { runs, text } }: { readonly chunk: Chunk }) {
  const colored = useRenderSlot(runs.length)
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
})

const worker = new BackgroundWorker<HighlightRequest, readonly Run[]>(
  () => new Worker(new URL('./code-worker.ts', import.meta.url), { type: 'module' }),
)

function useHighlighted(code: string, lang: string, growing: boolean): readonly Chunk[] {
  const [highlighter] = useState(
    () =>
      new IncrementalHighlighter(
        () => performance.now(),
        (text, language, done) => worker.run({ code: text, lang: language }, done),
      ),
  )
  const [, update] = useReducer((count: number) => count + 1, 0)
  useEffect(() => highlighter.highlightLater(code, lang, growing, update))
  return highlighter.chunks(code, lang)
}
