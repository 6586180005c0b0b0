// ToolCard: one tool call: its name, input, who runs it, what came of it, and the decision that it waits for.
import { type CallView, ParleyError } from '@parley/client'
import { memo, useId, useState } from 'react'
import { refusalNote } from '../connection/refusal-note.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { nameOf } from '../people/names.ts'
import { useMay, usePeople } from '../people/use-people.ts'
import { Icon } from '../shared/icon.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { useNow } from '../shared/use-now.ts'
import { callNote, decisionNote, expiryNote, shownValue } from './call-note.ts'

interface Props {
  readonly call: string
  readonly name: string
}

export const ToolCard = memo(function ToolCard({ call: id, name }: Props) {
  const call = useView((view) => view.calls.get(id))
  const connection = useConnection((state) => state.connection)
  const user = useConnection((state) => state.user)
  const people = usePeople()
  const decides = useMay('decide')
  const called = (other: string): string => nameOf(people, other)
  const heading = useId()
  const note = call === undefined ? undefined : callNote(call, connection)
  const decision = call === undefined ? undefined : decisionNote(call, user, called)
  return (
    <article className='tool' tabIndex={-1} aria-labelledby={heading} data-call={id} data-status={call?.status}>
      <header className='tool-head'>
        <Icon name='tool' />
        <h3 id={heading}>{name}</h3>
        {note === undefined ? null : <span className={`chip ${note.tone}`}>{note.text}</span>}
      </header>
      {call === undefined ? null : <Values call={call} />}
      {decision === undefined ? null : <p className='tool-decision'>{decision}</p>}
      {call?.status !== 'deciding' ? null : decides ? <Decide call={call} /> : <Undecided call={call} />}
    </article>
  )
})

function Values({ call }: { readonly call: CallView }) {
  return (
    <dl className='values'>
      <Value name='Input' value={call.input} unfolded={call.status === 'deciding'} />
      {call.status === 'completed' ? <Value name='Result' value={call.output} /> : null}
      {call.error === undefined ? null : (
        <div className='bad'>
          <dt>Error</dt>
          <dd>{call.error}</dd>
        </div>
      )}
    </dl>
  )
}

/** Longer values are folded. */
const LINES_SHOWN = 8

interface ValueProps {
  readonly name: string
  readonly value: unknown
  /** Nobody decides about what they do not see. */
  readonly unfolded?: boolean
}

function Value({ name, value, unfolded = false }: ValueProps) {
  const text = shownValue(value)
  const lines = text.split('\n').length
  const content = (
    <ScrollBox className='value' label={name}>
      <pre>{text}</pre>
    </ScrollBox>
  )
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {unfolded || lines <= LINES_SHOWN ? (
          content
        ) : (
          <details className='fold'>
            <summary>{lines} lines</summary>
            {content}
          </details>
        )}
      </dd>
    </div>
  )
}

/** As long as the server takes it. */
const REASON_MAX = 4_096

function Decide({ call }: { readonly call: CallView }) {
  const { session } = useRoom()
  const [reason, setReason] = useState('')
  const [asked, setAsked] = useState(false)
  const [problem, setProblem] = useState<string>()
  const decide = (button: HTMLElement, decision: 'approve' | 'deny'): void => {
    // The buttons go when the decision is there: the focus stays with the card.
    button.closest<HTMLElement>('.tool')?.focus()
    setAsked(true)
    setProblem(undefined)
    const why = reason.trim()
    session.decide(call.id, decision, why === '' ? undefined : why).catch((error: unknown) => {
      setAsked(false)
      // Somebody else was first, or it is over: the log says so, and the card shows it.
      if (error instanceof ParleyError && (error.code === 'already_decided' || error.code === 'call_ended')) return
      setProblem(refusalNote(error))
    })
  }
  return (
    <div className='decide'>
      <label>
        Reason, told to the model
        <input
          type='text'
          value={reason}
          maxLength={REASON_MAX}
          placeholder='Optional'
          autoComplete='off'
          onChange={(event) => setReason(event.target.value)}
        />
      </label>
      <div className='buttons'>
        <button
          type='button'
          className='button primary'
          disabled={asked}
          onClick={(event) => decide(event.currentTarget, 'approve')}
        >
          Approve
        </button>
        <button
          type='button'
          className='button'
          disabled={asked}
          onClick={(event) => decide(event.currentTarget, 'deny')}
        >
          Deny
        </button>
        <Expiry until={call.until} />
      </div>
      {problem === undefined ? null : (
        <p className='bubble-note bad' role='alert'>
          {problem}
        </p>
      )}
    </div>
  )
}

/** For who may not decide. */
function Undecided({ call }: { readonly call: CallView }) {
  return (
    <div className='decide'>
      <p className='aside'>An owner or an approver decides about this.</p>
      <Expiry until={call.until} />
    </div>
  )
}

/** A screen reader is given the time, which stands still; eyes are shown what is left of it. */
function Expiry({ until }: { readonly until: number }) {
  const now = useNow(true)
  const left = expiryNote(until, now)
  const at = new Date(until)
  return (
    <span className='expiry'>
      <span aria-hidden='true'>{left}</span>
      <time className='unseen' dateTime={at.toISOString()}>
        Expires at {at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })}
      </time>
    </span>
  )
}
