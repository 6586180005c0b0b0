// AgentCard: a call that asks another agent: what it was asked, its child run as it streams, and a button that stops it
// alone. It is open while the agent works, and collapsed in an answer that had ended before.
import { type CallView, isEnded, ParleyError, type RunView } from '@parley/client'
import { useRun } from '@parley/react'
import { type ReactNode, useId, useState } from 'react'
import { errorNote } from '../connection/error-note.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { nameOf } from '../people/names.ts'
import { useMay, usePeople } from '../people/use-people.ts'
import { displayText } from '../shared/display-text.ts'
import { Icon } from '../shared/icon.tsx'
import { askedMessage, formatText } from './call-note.ts'
import { asksPerson } from './calls-of.ts'
import { childNote } from './run-note.ts'

interface Props {
  readonly call: CallView
  readonly child: NonNullable<CallView['child']>
  /** Shows the output of the child run. */
  readonly content: (run: RunView) => ReactNode
}

export function AgentCard({ call, child, content }: Props) {
  const { session } = useRoom()
  const run = useRun(session, child.run)
  const asks = useView((view) => (run === undefined ? undefined : asksPerson(view, run)))
  const user = useConnection((state) => state.user)
  const people = usePeople()
  const maySend = useMay('send')
  const heading = useId()
  const [open, setOpen] = useState(() => run === undefined || !isEnded(run))
  const note = childNote(run, asks, user, (other) => nameOf(people, other))
  const isWorking = run !== undefined && !isEnded(run)
  return (
    <article
      className='tool agent'
      tabIndex={-1}
      aria-labelledby={heading}
      aria-busy={isWorking}
      data-call={call.id}
      data-run={child.run}
      data-status={asks === undefined ? (run?.status ?? 'starting') : 'asking'}
    >
      <header className='tool-head'>
        <Icon name='people' />
        <h3 id={heading} dir='auto'>
          {displayText(child.agent)}
        </h3>
        <span className={`chip ${note.tone}`}>{note.text}</span>
        {isWorking && maySend ? <StopAgent run={run.id} agent={child.agent} /> : null}
      </header>
      <details className='child-run' open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary className='child-question' dir='auto'>
          {formatText(askedMessage(call))}
        </summary>
        {run === undefined ? null : <div className='child-parts'>{content(run)}</div>}
      </details>
      {run?.status === 'failed' && run.error !== undefined ? (
        <p className='bad' dir='auto'>
          {formatText(`${run.error.message} (${run.error.code})`)}
        </p>
      ) : null}
    </article>
  )
}

/** The agent that asked continues without an answer. */
function StopAgent({ run, agent }: { readonly run: string; readonly agent: string }) {
  const { session } = useRoom()
  const [stopping, setStopping] = useState(false)
  const [problem, setProblem] = useState<string>()
  const stop = (button: HTMLElement): void => {
    // The button disappears when the run ends, so move the focus to the card.
    button.closest<HTMLElement>('.tool')?.focus()
    setStopping(true)
    setProblem(undefined)
    session.cancel(run).catch((error: unknown) => {
      setStopping(false)
      // It ended before the cancel arrived: the card shows it.
      if (error instanceof ParleyError && error.code === 'no_active_run') return
      setProblem(errorNote(error))
    })
  }
  return (
    <>
      <button
        type='button'
        className='link stop-agent'
        disabled={stopping}
        aria-label={`Stop ${displayText(agent)}`}
        onClick={(event) => stop(event.currentTarget)}
      >
        {stopping ? 'Stopping…' : 'Stop'}
      </button>
      {problem === undefined ? null : (
        <span className='bad' role='alert'>
          {problem}
        </span>
      )}
    </>
  )
}
