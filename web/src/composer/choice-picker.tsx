// ChoicePicker: selects the model and the agent of the next messages, if the server offers several.
import { agentOfNext } from '@parley/client'
import { type KeyboardEvent, useState } from 'react'
import { useRoom, useView } from '../connection/use-chat.ts'
import { isInputMethodKey } from '../shared/input-method.ts'
import { useStore } from '../shared/store.ts'
import { type Choice, choiceOf, namedModels, unavailable } from './choices.ts'

export function ChoicePicker() {
  const { allowance, choice: store } = useRoom()
  const current = useView(agentOfNext)
  const choice = useStore(store)
  const onChange = (changed: Choice): void => store.choose(changed)
  const { offers } = useStore(allowance)
  if (offers === undefined) return null
  const models = namedModels(offers)
  const offersOthers = models.length < offers.models.length
  const agents = offers.agents.map(({ name }) => name)
  const missing = unavailable(choice, offers)
  const { model, agent } = choice
  const picksModel = models.length > 1 || offersOthers || model !== undefined
  const picksAgent = agents.length > 0 || agent !== undefined
  if (!picksModel && !picksAgent) return null
  return (
    <div className='choice'>
      {picksModel ? (
        <Select
          label='Model'
          fallback={agent === undefined ? (models[0] ?? 'Default model') : 'Agent’s model'}
          names={agent === undefined ? models.slice(1) : models}
          value={model}
          missing={missing}
          {...(offersOthers ? { other: 'Other model…' } : {})}
          onChange={(chosen) => onChange(choiceOf(chosen, agent))}
        />
      ) : null}
      {picksAgent ? (
        <Select
          label='Agent'
          fallback={current === undefined ? 'No agent' : `${current} (current)`}
          names={agents}
          value={agent}
          missing={missing}
          onChange={(chosen) => onChange(choiceOf(model, chosen))}
        />
      ) : null}
      {missing.length === 0 ? null : (
        <span className='bad' role='alert'>
          {missing.join(' and ')} {missing.length === 1 ? 'is' : 'are'} not available. Choose another.
        </span>
      )}
    </div>
  )
}

interface SelectProps {
  readonly label: string
  /** What the first option means: nothing is chosen. */
  readonly fallback: string
  readonly names: readonly string[]
  readonly value: string | undefined
  readonly missing: readonly string[]
  /** The option to enter a name that is not listed, if there is one. */
  readonly other?: string
  readonly onChange: (value: string | undefined) => void
}

function Select({ label, fallback, names, value, missing, other, onChange }: SelectProps) {
  const [entering, setEntering] = useState(false)
  // A choice that is the default by now, or no longer offered, stays visible.
  const all = value === undefined || names.includes(value) ? names : [value, ...names]
  if (entering) {
    return (
      <NameInput
        label={label}
        onDone={(name) => {
          setEntering(false)
          if (name !== undefined) onChange(name)
        }}
      />
    )
  }
  return (
    <select
      aria-label={label}
      title={label}
      value={value ?? ''}
      aria-invalid={value !== undefined && missing.includes(value)}
      onChange={({ target }) => {
        if (target.value === OTHER) setEntering(true)
        else onChange(target.value === '' ? undefined : target.value)
      }}
    >
      <option value=''>{fallback}</option>
      {all.map((name) => (
        <option key={name} value={name}>
          {missing.includes(name) ? `${name} (unavailable)` : name}
        </option>
      ))}
      {other === undefined ? null : <option value={OTHER}>{other}</option>}
    </select>
  )
}

/** No model has this name. */
const OTHER = ' '

interface InputProps {
  readonly label: string
  /** @param name undefined: nothing was entered */
  readonly onDone: (name: string | undefined) => void
}

/** Browsers lay out a text field as a whole. */
const NAME_MAX = 256

/** Enter and leaving the field take the name, Escape does not. */
function NameInput({ label, onDone }: InputProps) {
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
    if (isInputMethodKey(event) || (event.key !== 'Enter' && event.key !== 'Escape')) return
    // Otherwise Enter would send the message, and Escape stop the answer.
    event.preventDefault()
    if (event.key === 'Escape') event.currentTarget.value = ''
    event.currentTarget.blur()
  }
  return (
    <input
      ref={(input) => input?.focus()}
      type='text'
      aria-label={label}
      placeholder='provider:model'
      autoComplete='off'
      autoCapitalize='off'
      spellCheck={false}
      dir='auto'
      maxLength={NAME_MAX}
      onKeyDown={onKeyDown}
      onBlur={({ target }) => onDone(target.value.trim() || undefined)}
    />
  )
}
