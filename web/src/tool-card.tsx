// ToolCard: one tool call: its name, input, who runs it, what came of it, and the decision that it waits for.
import { type CallView, ParleyError } from '@parley/client'
import { memo, useId, useState } from 'react'
import { callNote, decisionNote, shownValue } from './call-note.ts'
import { Icon } from './icon.tsx'
import { useConnection, useRoom, useView } from './use-chat.ts'

interface Props {
  readonly call: string
  readonly name: string
}

export const ToolCard = memo(function ToolCard({ call: id, name }: Props) {
  const call = useView((view) => view.calls.get(id))
  const connection = useConnection((state) => state.connection)
  const user = useConnection((state) => state.user)
  const heading = useId()
  const note = call === undefined ? undefined : callNote(call, connection)
  const decision = call === undefined ? undefined : decisionNote(call, user)
  return (
    <section className='tool' tabIndex={-1} aria-labelledby={heading} data-call={id} data-status={call?.status}>
      <header className='tool-head'>
        <Icon name='tool' />
        <h3 id={heading}>{name}</h3>
        {note === undefined ? null : <span className={`chip ${note.tone}`}>{note.text}</span>}
      </header>
      {call === undefined ? null : <Values call={call} />}
      {decision === undefined ? null : <p className='tool-decision'>{decision}</p>}
      {call?.status === 'deciding' ? <Decide call={call} /> : null}
    </section>
  )
})

function Values({ call }: { readonly call: CallView }) {
  return (
    <dl className='values'>
      <Value name='Input' value={call.input} />
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

function Value({ name, value }: { readonly name: string; readonly value: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <pre>{shownValue(value)}</pre>
      </dd>
    </div>
  )
}

function Decide({ call }: { readonly call: CallView }) {
  const { session } = useRoom()
  const [asked, setAsked] = useState(false)
  const [problem, setProblem] = useState<string>()
  const decide = (button: HTMLElement, decision: 'approve' | 'deny'): void => {
    // The buttons go when the decision is there: the focus stays with the card.
    button.closest<HTMLElement>('.tool')?.focus()
    setAsked(true)
    setProblem(undefined)
    session.decide(call.id, decision).catch((error: unknown) => {
      setAsked(false)
      // Somebody else was first, or it is over: the log says so, and the card shows it.
      if (error instanceof ParleyError && (error.code === 'already_decided' || error.code === 'call_ended')) return
      setProblem(error instanceof Error ? error.message : 'The decision was not taken.')
    })
  }
  return (
    <>
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
      </div>
      {problem === undefined ? null : (
        <p className='bubble-note bad' role='alert'>
          {problem}
        </p>
      )}
    </>
  )
}
