// CodeBlock: a program: its language, a button that copies it, and its text in colours.
import { memo, useEffect, useReducer, useState, useSyncExternalStore } from 'react'
import { CopyButton } from '../shared/copy-button.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { CodeFeed } from './code-feed.ts'
import type { Chunk } from './highlighted-lines.ts'
import { type Highlighter, presentHighlighter, subscribeHighlighter } from './highlighter.ts'

interface Props {
  readonly code: string
  readonly lang: string
  /** Whether more of it will come. */
  readonly growing: boolean
}

/** A name that is longer is no language. */
const LANG_MAX = 24

export const CodeBlock = memo(function CodeBlock({ code, lang, growing }: Props) {
  const name = lang.slice(0, LANG_MAX)
  const chunks = useColoured(code, name.toLowerCase(), growing)
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
              // biome-ignore lint/suspicious/noArrayIndexKey: lines are only added at the end.
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
      // biome-ignore lint/suspicious/noArrayIndexKey: a run's place is what it is.
      <span key={at} className={run.kind}>
        {run.text}
      </span>
    ),
  )
})

function useColoured(code: string, lang: string, growing: boolean): readonly Chunk[] {
  const [feed] = useState(() => new CodeFeed(() => performance.now()))
  const [, lookAgain] = useReducer((count: number) => count + 1, 0)
  const present = lang === '' ? nothing : presentHighlighter
  const highlighter: Highlighter | undefined = useSyncExternalStore(subscribeHighlighter, present)
  const known = highlighter?.knows(lang) === true ? lang : undefined
  const { chunks, wait } = feed.look(code, known, growing, highlighter)
  useEffect(() => {
    if (wait === undefined) return undefined
    const timer = setTimeout(lookAgain, wait)
    return () => clearTimeout(timer)
  })
  return chunks
}

function nothing(): undefined {
  return undefined
}
