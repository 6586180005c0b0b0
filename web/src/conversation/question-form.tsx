// QuestionForm: what a running tool asks a person: its message, a form for the answer, and the answer once there is one.
import { type CallView, ParleyError, type QuestionView } from '@parley/client'
import type { FormContent, FormField, FormSchema } from '@parley/protocol'
import { choicesOf, formProblem } from '@parley/protocol/form/form-check'
import { type FormEvent, useId, useState } from 'react'
import { errorNote } from '../connection/error-note.ts'
import { useConnection, useRoom } from '../connection/use-chat.ts'
import { nameOf } from '../people/names.ts'
import { useMay, usePeople } from '../people/use-people.ts'
import { displayText } from '../shared/display-text.ts'
import { answerNote, formatText } from './call-note.ts'
import { Expiry } from './expiry.tsx'
import { contentOf, localTime } from './form-content.ts'

interface Props {
  readonly call: CallView
  readonly question: QuestionView
  /** Whether it waits for an answer. */
  readonly open: boolean
}

export function Question({ call, question, open }: Props) {
  const user = useConnection((state) => state.user)
  const people = usePeople()
  const mayAnswer = useMay('decide')
  const note = answerNote(question, user, (other) => nameOf(people, other))
  return (
    <section className='question' aria-label={`Question of ${call.name}`}>
      <p className='question-message' dir='auto'>
        {formatText(question.message)}
      </p>
      {note === undefined ? null : (
        <p className='tool-decision' dir='auto'>
          {note}
        </p>
      )}
      {!open ? null : mayAnswer ? (
        <QuestionForm call={call} question={question} />
      ) : (
        <div className='decide'>
          <p className='aside'>Only an owner or approver can answer this.</p>
          <Expiry until={question.until} />
        </div>
      )}
    </section>
  )
}

function QuestionForm({ call, question }: Omit<Props, 'open'>) {
  const { session } = useRoom()
  const [sending, setSending] = useState(false)
  const [problem, setProblem] = useState<string>()
  const { schema } = question
  const fields = Object.entries(schema.properties)
  const send = (form: HTMLElement | null, action: 'accept' | 'decline', content?: FormContent): void => {
    // The form disappears after the answer, so move the focus to the card.
    form?.closest<HTMLElement>('.tool')?.focus()
    setSending(true)
    setProblem(undefined)
    session.answer(call.id, question.id, action, content).catch((error: unknown) => {
      setSending(false)
      // Another user has answered, or the call has ended: the card shows it.
      if (error instanceof ParleyError && (error.code === 'question_closed' || error.code === 'call_ended')) return
      setProblem(errorNote(error))
    })
  }
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const content = contentOf(schema, new FormData(event.currentTarget))
    const wrong = formProblem(schema, content)
    if (wrong === undefined) send(event.currentTarget, 'accept', content)
    else setProblem(`${displayText(wrong)}.`)
  }
  return (
    <form className='decide' onSubmit={submit}>
      {fields.map(([name, field]) => (
        <Field key={name} name={name} field={field} required={schema.required?.includes(name) === true} />
      ))}
      <p className='aside'>Everyone in this chat can see your answer.</p>
      <div className='buttons'>
        <button type='submit' className='button primary' disabled={sending}>
          {fields.length === 0 ? 'Confirm' : 'Submit'}
        </button>
        <button
          type='button'
          className='button'
          disabled={sending}
          onClick={(event) => send(event.currentTarget, 'decline')}
        >
          Decline
        </button>
        <Expiry until={question.until} />
      </div>
      {problem === undefined ? null : (
        <p className='bubble-note bad' role='alert'>
          {problem}
        </p>
      )}
    </form>
  )
}

interface FieldProps {
  readonly name: string
  readonly field: FormField
  readonly required: boolean
}

function Field({ name, field, required }: FieldProps) {
  const hint = useId()
  const input = useId()
  const label = displayText(field.title ?? name)
  const described = field.description === undefined ? {} : { 'aria-describedby': hint }
  const about =
    field.description === undefined ? null : (
      <span id={hint} className='aside' dir='auto'>
        {formatText(field.description)}
      </span>
    )
  if (field.type === 'boolean') {
    return (
      <label className='check'>
        <input type='checkbox' name={name} defaultChecked={field.default === true} {...described} />
        <span dir='auto'>{label}</span>
        {about}
      </label>
    )
  }
  if (field.type === 'array') {
    return (
      <fieldset className='checks' {...described}>
        <legend dir='auto'>{`${label}${required ? '' : ' (optional)'}`}</legend>
        {about}
        {choicesOf(field)?.map(({ value, title }) => (
          <label key={value} className='check'>
            <input type='checkbox' name={name} value={value} defaultChecked={field.default?.includes(value) === true} />
            <span dir='auto'>{displayText(title)}</span>
          </label>
        ))}
      </fieldset>
    )
  }
  return (
    <label htmlFor={input}>
      <span dir='auto'>{`${label}${required ? '' : ' (optional)'}`}</span>
      {about}
      <Input id={input} name={name} field={field} required={required} described={described} />
    </label>
  )
}

const TYPES: Readonly<Record<string, string>> = {
  email: 'email',
  uri: 'url',
  date: 'date',
  'date-time': 'datetime-local',
}

interface InputProps extends FieldProps {
  readonly id: string
  readonly field: Exclude<FormSchema['properties'][string], { type: 'boolean' | 'array' }>
  readonly described: { readonly 'aria-describedby'?: string }
}

function Input({ id, name, field, required, described }: InputProps) {
  const common = { id, name, required, autoComplete: 'off', ...described }
  if (field.type !== 'string') {
    const step = field.type === 'integer' ? 1 : 'any'
    return (
      <input
        {...common}
        type='number'
        step={step}
        min={field.minimum}
        max={field.maximum}
        defaultValue={field.default}
      />
    )
  }
  const choices = choicesOf(field)
  if (choices !== undefined) {
    return (
      <select {...common} defaultValue={field.default ?? ''}>
        <option value=''>{required ? 'Choose…' : 'None'}</option>
        {choices.map(({ value, title }) => (
          <option key={value} value={value}>
            {displayText(title)}
          </option>
        ))}
      </select>
    )
  }
  const type = TYPES[field.format ?? ''] ?? 'text'
  const value = field.format === 'date-time' ? localTime(field.default) : field.default
  return (
    <input
      {...common}
      type={type}
      dir='auto'
      minLength={field.minLength}
      maxLength={field.maxLength}
      defaultValue={value}
    />
  )
}
