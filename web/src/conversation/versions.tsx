// Versions: shows which version of a message is visible, and switches between versions. The buttons keep their position
// and the focus.
import type { TurnView } from '@parley/client'
import { useMessages } from '@parley/react'
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
  // aria-disabled, because a disabled button would lose the focus at the first and the last version.
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

/** Announces to screen readers that another version is visible, also after another user's edit. */
export function VersionAnnouncer() {
  const turns = useMessages(useRoom().session)
  const isLive = useView((view) => view.status === 'live')
  const before = useRef(turns)
  const [announcement, setAnnouncement] = useState('')
  useEffect(() => {
    const note = versionNote(before.current, turns)
    before.current = turns
    if (note !== undefined && isLive) setAnnouncement(note)
  }, [turns, isLive])
  return (
    <p className='unseen' aria-live='polite'>
      {announcement}
    </p>
  )
}
