// ChoicePicker: selects the model and the agent of the next messages, if the server offers several.
import { useRoom } from '../connection/use-chat.ts'
import { useStore } from '../shared/store.ts'
import { type Choice, choiceOf, namedModels, unavailable } from './choices.ts'

export function ChoicePicker() {
  const { allowance, choice: store } = useRoom()
  const choice = useStore(store)
  const onChange = (changed: Choice): void => store.choose(changed)
  const { offers } = useStore(allowance)
  if (offers === undefined) return null
  const models = namedModels(offers)
  const agents = offers.agents.map(({ name }) => name)
  const missing = unavailable(choice, offers)
  const { model, agent } = choice
  const picksModel = models.length > 1 || model !== undefined
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
          onChange={(chosen) => onChange(choiceOf(chosen, agent))}
        />
      ) : null}
      {picksAgent ? (
        <Select
          label='Agent'
          fallback='No agent'
          names={agents}
          value={agent}
          missing={missing}
          onChange={(chosen) => onChange(choiceOf(model, chosen))}
        />
      ) : null}
      {missing.length === 0 ? null : (
        <span className='bad' role='alert'>
          {missing.join(' and ')} {missing.length === 1 ? 'is' : 'are'} no longer available. Choose another.
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
  readonly onChange: (value: string | undefined) => void
}

function Select({ label, fallback, names, value, missing, onChange }: SelectProps) {
  // A choice that is the default by now, or no longer offered, stays visible.
  const all = value === undefined || names.includes(value) ? names : [value, ...names]
  return (
    <select
      aria-label={label}
      title={label}
      value={value ?? ''}
      aria-invalid={value !== undefined && missing.includes(value)}
      onChange={({ target }) => onChange(target.value === '' ? undefined : target.value)}
    >
      <option value=''>{fallback}</option>
      {all.map((name) => (
        <option key={name} value={name}>
          {missing.includes(name) ? `${name} (unavailable)` : name}
        </option>
      ))}
    </select>
  )
}
