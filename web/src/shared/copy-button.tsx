// CopyButton: copies a text, and says that it did. Its width is the same before and after.
import { useEffect, useState } from 'react'
import { Icon } from './icon.tsx'

interface Props {
  readonly text: string
  /** What it is called: there are several of them on a page. */
  readonly label: string
  readonly className?: string
}

const SHOWN_MS = 2_000

type Outcome = 'copied' | 'refused'

export function CopyButton({ text, label, className = 'copy' }: Props) {
  const [outcome, setOutcome] = useState<Outcome>()
  useEffect(() => {
    if (outcome === undefined) return undefined
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [outcome])
  const copy = (): void => {
    // Without a secure connection there is no clipboard at all, and a browser may refuse it.
    const written = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('There is no clipboard.'))
    written.then(
      () => setOutcome('copied'),
      () => setOutcome('refused'),
    )
  }
  return (
    <button type='button' className={className} onClick={copy}>
      <Icon name={outcome === 'copied' ? 'check' : 'copy'} />
      <span className='label' aria-live='polite'>
        {outcome === undefined ? label : outcome === 'copied' ? 'Copied' : 'Not allowed'}
      </span>
    </button>
  )
}
