// MentionList: the agents that a message may name while the person types `@` at its beginning. The message box keeps the focus and
// refers to the active option (WAI-ARIA, combobox with a list).
import { type KeyboardEvent, useState } from 'react'
import { displayText } from '../shared/display-text.ts'
import { type Offers, suggestedAgents } from './choices.ts'

const LIST = 'agent-suggestions'
const optionId = (at: number): string => `${LIST}-${at}`

interface Mentions {
  readonly names: readonly string[]
  readonly active: number
  /** For the message box. */
  readonly box: {
    readonly 'aria-autocomplete'?: 'list'
    readonly 'aria-controls'?: string
    readonly 'aria-activedescendant'?: string
  }
  readonly choose: (name: string) => void
  /** @returns whether the key was for the list */
  readonly onKeyDown: (event: KeyboardEvent) => boolean
}

/** @param write replaces the draft */
export function useMentions(draft: string, offers: Offers | undefined, write: (draft: string) => void): Mentions {
  const [moved, setMoved] = useState<{ readonly draft: string; readonly at: number }>()
  const [closed, setClosed] = useState<string>()
  const names = closed === draft ? [] : suggestedAgents(draft, offers)
  const isOpen = names.length > 0
  const active = moved?.draft === draft ? moved.at : 0
  const choose = (name: string): void => write(`@${name} `)
  const onKeyDown = (event: KeyboardEvent): boolean => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    const isChoice = (event.key === 'Enter' || event.key === 'Tab') && !event.shiftKey
    if (!isOpen || !(isChoice || step !== 0 || event.key === 'Escape')) return false
    event.preventDefault()
    const name = names[active]
    if (event.key === 'Escape') setClosed(draft)
    else if (step !== 0) setMoved({ draft, at: (active + step + names.length) % names.length })
    else if (name !== undefined) choose(name)
    return true
  }
  const box = isOpen ? { 'aria-controls': LIST, 'aria-activedescendant': optionId(active) } : {}
  return { names, active, box: { 'aria-autocomplete': 'list', ...box }, choose, onKeyDown }
}

export function MentionList({ names, active, choose }: Omit<Mentions, 'box' | 'onKeyDown'>) {
  const count = names.length === 1 ? '1 agent' : `${names.length} agents`
  return (
    <>
      <span className='unseen' role='status'>
        {names.length === 0 ? '' : `${count}. Up and down arrows to choose, Enter to insert, Escape to close.`}
      </span>
      {names.length === 0 ? null : (
        <div className='mentions' id={LIST} role='listbox' aria-label='Agents'>
          {names.map((name, at) => (
            // The message box has the focus and handles the keys.
            // biome-ignore lint/a11y/useKeyWithClickEvents: see above
            // biome-ignore lint/a11y/useFocusableInteractive: see above
            <div
              key={name}
              id={optionId(at)}
              role='option'
              aria-selected={at === active}
              ref={at === active ? (option) => option?.scrollIntoView({ block: 'nearest' }) : null}
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => choose(name)}
            >
              @{displayText(name)}
            </div>
          ))}
        </div>
      )}
    </>
  )
}
