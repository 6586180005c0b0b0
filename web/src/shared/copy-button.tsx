// CopyButton: copies a text and shows "Copied" for two seconds.
import { useEffect, useState } from 'react'
import { copyText } from './copy-text.ts'
import { Icon } from './icon.tsx'

interface Props {
  readonly text: string
  /** The button's name. It must be specific, because a page has several copy buttons. */
  readonly label: string
  readonly className?: string
}

const SHOWN_MS = 2_000

type Outcome = 'copied' | 'failed'

export function CopyButton({ text, label, className = 'copy' }: Props) {
  const [outcome, setOutcome] = useState<Outcome>()
  useEffect(() => {
    if (outcome === undefined) return undefined
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [outcome])
  const copy = (): void => {
    copyText(text).then(
      () => setOutcome('copied'),
      () => setOutcome('failed'),
    )
  }
  return (
    <button type='button' className={className} onClick={copy}>
      <Icon name={outcome === 'copied' ? 'check' : 'copy'} />
      <span className='label' aria-live='polite'>
        {outcome === undefined ? label : outcome === 'copied' ? 'Copied' : 'Couldn’t copy'}
      </span>
    </button>
  )
}
