// Versions: which of the messages that stand at one place is shown, and the way to the others. The buttons stay where they
// are, and keep the focus, whichever version is shown.
import type { TurnView } from '@parley/client'
import { useEffect, useRef, useState } from 'react'
import { useRoom, useView } from '../connection/use-chat.ts'
import { Icon } from '../shared/icon.tsx'
import { versionName, versionNote } from './version-note.ts'

export function Versions({ turn }: { readonly turn: TurnView }) {
  const { session } = useRoom()
  const { message, versions } = turn
  if (versions.length < 2) return null
  const at = versions.indexOf(message.id)
  const choose = (id: string | undefined): void => {
    if (id !== undefined) session.choose(id)
  }
  return (
    <fieldset className='versions'>
      <legend className='unseen'>{versionName(turn)}</legend>
      <Step name='left' label='Previous version' to={versions[at - 1]} onChoose={choose} />
      <span aria-hidden='true'>
        {at + 1} / {versions.length}
      </span>
      <Step name='right' label='Next version' to={versions[at + 1]} onChoose={choose} />
    </fieldset>
  )
}

interface StepProps {
  readonly name: 'left' | 'right'
  readonly label: string
  readonly to: string | undefined
  readonly onChoose: (id: string | undefined) => void
}

function Step({ name, label, to, onChoose }: StepProps) {
  // One that is disabled would lose the focus at the first and the last version.
  return (
    <button
      type='button'
      className='step'
      aria-label={label}
      aria-disabled={to === undefined}
      onClick={() => onChoose(to)}
    >
      <Icon name={name} />
    </button>
  )
}

/** Tells screen readers when another version is shown, whoever had it shown. */
export function VersionNews() {
  const turns = useView((view) => view.turns)
  const isLive = useView((view) => view.status === 'live')
  const before = useRef(turns)
  const [news, setNews] = useState('')
  useEffect(() => {
    const note = versionNote(before.current, turns)
    before.current = turns
    if (note !== undefined && isLive) setNews(note)
  }, [turns, isLive])
  return (
    <p className='unseen' aria-live='polite'>
      {news}
    </p>
  )
}
