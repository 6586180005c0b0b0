// ToolCard: one tool call: its name, status, input and result, and its approval.
import { type CallView, openQuestion, ParleyError } from '@parley/client'
import { memo, useId, useState } from 'react'
import { errorNote } from '../connection/error-note.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { nameOf } from '../people/names.ts'
import { useMay, usePeople } from '../people/use-people.ts'
import { Icon } from '../shared/icon.tsx'
import { LongText } from '../shared/long-text.tsx'
import { ScrollBox } from '../shared/scroll-box.tsx'
import { CallProgress } from './answer-extras.tsx'
import { callNote, decisionNote, formatText, formatValue } from './call-note.ts'
import { Expiry } from './expiry.tsx'
import { Question } from './question-form.tsx'
import { lineCount } from './readable-tree.ts'
import { ReadableValue } from './readable-value.tsx'

interface Props {
  readonly call: string
  readonly name: string
}

export const ToolCard = memo(function ToolCard({ call: id, name }: Props) {
  const call = useView((view) => view.calls.get(id))
  const connection = useConnection((state) => state.connection)
  const user = useConnection((state) => state.user)
  const people = usePeople()
  const mayDecide = useMay('decide')
  const displayName = (other: string): string => nameOf(people, other)
  const heading = useId()
  const note = call === undefined ? undefined : callNote(call, connection)
  const decision = call === undefined ? undefined : decisionNote(call, user, displayName)
  const asking = call === undefined ? undefined : openQuestion(call)
  return (
    <article
      className='tool'
      tabIndex={-1}
      aria-labelledby={heading}
      data-call={id}
      data-status={asking === undefined ? call?.status : 'asking'}
    >
      <header className='tool-head'>
        <Icon name='tool' />
        <h3 id={heading}>{name}</h3>
        {note === undefined ? null : <span className={`chip ${note.tone}`}>{note.text}</span>}
      </header>
      {call === undefined ? null : <Values call={call} />}
      {call?.progress === undefined ? null : <CallProgress progress={call.progress} />}
      {decision === undefined ? null : (
        <p className='tool-decision' dir='auto'>
          {decision}
        </p>
      )}
      {call?.status !== 'deciding' ? null : mayDecide ? <Approval call={call} /> : <PendingApproval call={call} />}
      {call?.questions?.map((question) => (
        <Question key={question.id} call={call} question={question} open={question === asking} />
      ))}
    </article>
  )
})

function Values({ call }: { readonly call: CallView }) {
  return (
    <dl className='values'>
      <Value name='Input' value={call.input} expanded={call.status === 'deciding'} />
      {call.status === 'completed' ? <Value name='Result' value={call.output} /> : null}
      {call.error === undefined ? null : (
        <div className='bad'>
          <dt>Error</dt>
          <dd dir='auto'>
            <LongText text={formatText(call.error)} />
          </dd>
        </div>
      )}
    </dl>
  )
}

/** Longer values are collapsed. */
const MAX_LINES = 8

interface ValueProps {
  readonly name: string
  readonly value: unknown
  /** Never collapsed: users must see what they approve. */
  readonly expanded?: boolean
}

function Value({ name, value, expanded = false }: ValueProps) {
  const [asJson, setAsJson] = useState(false)
  const content = (
    <>
      <ScrollBox className='value' label={name}>
        {asJson ? <pre>{formatValue(value)}</pre> : <ReadableValue value={value} />}
      </ScrollBox>
      {typeof value !== 'object' || value === null ? null : (
        <button
          type='button'
          className='link'
          aria-label={`${name} as JSON`}
          aria-pressed={asJson}
          onClick={() => setAsJson(!asJson)}
        >
          JSON
        </button>
      )}
    </>
  )
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {expanded || lineCount(value, MAX_LINES) <= MAX_LINES ? (
          content
        ) : (
          <details className='collapsible'>
            <summary>Show</summary>
            {content}
          </details>
        )}
      </dd>
    </div>
  )
}

/** The server's limit. */
const REASON_MAX = 4_096

function Approval({ call }: { readonly call: CallView }) {
  const { session } = useRoom()
  const [reason, setReason] = useState('')
  const [deciding, setDeciding] = useState(false)
  const [problem, setProblem] = useState<string>()
  const decide = (button: HTMLElement, decision: 'approve' | 'deny'): void => {
    // The buttons disappear after the decision, so move the focus to the card.
    button.closest<HTMLElement>('.tool')?.focus()
    setDeciding(true)
    setProblem(undefined)
    const why = reason.trim()
    session.decide(call.id, decision, why === '' ? undefined : why).catch((error: unknown) => {
      setDeciding(false)
      // Another user has decided, or the call has ended: the card shows it.
      if (error instanceof ParleyError && (error.code === 'already_decided' || error.code === 'call_ended')) return
      setProblem(errorNote(error))
    })
  }
  return (
    <div className='decide'>
      <label>
        Reason (sent to the model)
        <input
          type='text'
          value={reason}
          maxLength={REASON_MAX}
          placeholder='Optional'
          autoComplete='off'
          dir='auto'
          onChange={(event) => setReason(event.target.value)}
        />
      </label>
      <div className='buttons'>
        <button
          type='button'
          className='button primary'
          disabled={deciding}
          onClick={(event) => decide(event.currentTarget, 'approve')}
        >
          Approve
        </button>
        <button
          type='button'
          className='button'
          disabled={deciding}
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

/** For users who may not decide. */
function PendingApproval({ call }: { readonly call: CallView }) {
  return (
    <div className='decide'>
      <p className='aside'>Only an owner or approver can approve this.</p>
      <Expiry until={call.until} />
    </div>
  )
}
