// CodeBlock: a code block with its language, a copy button and syntax highlighting.
import { memo, useEffect, useReducer, useState, useSyncExternalStore } from 'react'
import { CopyButton } from '../shared/copy-button.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import type { Chunk } from './highlighted-lines.ts'
import { currentHighlighter, type Highlighter, subscribeHighlighter } from './highlighter.ts'
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
    <div className='code-block'>
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

const Lines = memo(function Lines({ chunk }: { readonly chunk: Chunk }) {
  return chunk.runs.map((run, at) =>
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

function useHighlighted(code: string, lang: string, growing: boolean): readonly Chunk[] {
  const [incremental] = useState(() => new IncrementalHighlighter(() => performance.now()))
  const [, update] = useReducer((count: number) => count + 1, 0)
  const current = lang === '' ? () => undefined : currentHighlighter
  const highlighter: Highlighter | undefined = useSyncExternalStore(subscribeHighlighter, current)
  const known = highlighter?.knows(lang) === true ? lang : undefined
  const { chunks, wait } = incremental.update(code, known, growing, highlighter)
  useEffect(() => {
    if (wait === undefined) return undefined
    const timer = setTimeout(update, wait)
    return () => clearTimeout(timer)
  })
  return chunks
}
