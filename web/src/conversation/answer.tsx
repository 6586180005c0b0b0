// Answer: a run in the conversation: who speaks, its parts in order, and a line with its status. The line is always there, so that
// nothing moves when the run ends.
import { type CallView, firstAgent, isEnded, ParleyError, type RunView } from '@parley/client'
import { makeId } from '@parley/protocol/make-id'
import { memo, useRef, useState } from 'react'
import { resetNote, resetTime } from '../budget/budget-note.ts'
import { isSignedOut } from '../connection/badge.ts'
import { useChat, useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { nameOf } from '../people/names.ts'
import { useMay, usePeople } from '../people/use-people.ts'
import { CopyButton } from '../shared/copy-button.tsx'
import { displayText } from '../shared/display-text.ts'
import { Icon } from '../shared/icon.tsx'
import { useStore } from '../shared/store.ts'
import { callsOf } from './calls-of.ts'
import { endsInCall, noticeTexts, type RunNote, runNote } from './run-note.ts'
import { RunParts, Speaker } from './run-parts.tsx'

interface Props {
  readonly run: RunView
  /** Missing if the user may not request another answer. @param command the id of the command */
  readonly onRegenerate?: (command: string) => void
  /** Asks for the rest of an answer that reached a token limit. */
  readonly onContinue?: () => void
}

export const Answer = memo(function Answer({ run, onRegenerate, onContinue }: Props) {
  const speaker = useView((view) => firstAgent(view, run))
  const unfinished = run.status === 'cancelled' || run.status === 'superseded' || run.status === 'failed'
  return (
    <article
      className={unfinished ? 'answer unfinished' : 'answer'}
      aria-label={speaker === undefined ? 'Answer' : `Answer from ${displayText(speaker)}`}
      aria-busy={!isEnded(run)}
      data-run={run.id}
      data-status={run.status}
    >
      {speaker === undefined ? null : <Speaker agent={speaker} />}
      <RunParts run={run} />
      {noticeTexts(run).map((text) => (
        <p key={text} className='note notice'>
          <Icon name='warning' />
          <span>{text}</span>
        </p>
      ))}
      <Note run={run} onRegenerate={onRegenerate} onContinue={onContinue} />
    </article>
  )
})

interface NoteProps {
  readonly run: RunView
  readonly onRegenerate: Props['onRegenerate']
  readonly onContinue: Props['onContinue']
}

function Note({ run, onRegenerate, onContinue }: NoteProps) {
  const { session } = useRoom()
  const calls = useCalls(run)
  const user = useConnection((state) => state.user)
  const people = usePeople()
  const reset = useBudgetReset(run)
  const signedOut = useConnection(isSignedOut)
  const note = runNote(run, calls, user, (other) => nameOf(people, other), reset)
  // A signed-out page receives no updates, so a busy state would never end.
  const { tone, text } = signedOut && note.tone === 'busy' ? SIGNED_OUT : note
  const [cancelling, setCancelling] = useState(false)
  const cancel = (): void => {
    setCancelling(true)
    session.cancel(run.id).catch((error: unknown) => {
      setCancelling(false)
      // The run may have ended before the cancel arrived. The line shows its status.
      if (!(error instanceof ParleyError)) reportError(error)
    })
  }
  const maySend = useMay('send')
  const isQueued = run.status === 'queued' && run.supersededBy === undefined
  return (
    <p className={`note ${tone}`}>
      {tone === 'failed' ? <Icon name='warning' /> : null}
      {tone === 'stopped' ? <Icon name='stop' /> : null}
      {tone === 'busy' ? <span className='dots' aria-hidden='true' /> : null}
      <span>{text}</span>
      {isQueued && maySend ? (
        <button type='button' className='link' disabled={cancelling} onClick={cancel}>
          Cancel
        </button>
      ) : null}
      {run.cut === true && onContinue !== undefined ? (
        <button type='button' className='link' onClick={onContinue}>
          Continue
        </button>
      ) : null}
      {isEnded(run) && run.text !== '' ? (
        <CopyButton className='link copy-answer' text={run.text} label='Copy answer' />
      ) : null}
      {isEnded(run) && onRegenerate !== undefined ? <Regenerate onRegenerate={onRegenerate} /> : null}
    </p>
  )
}

/** Each button sends one command: a double click has the same id, before the page shows the new turn. */
function Regenerate({ onRegenerate }: Required<Pick<Props, 'onRegenerate'>>) {
  const [command] = useState(() => makeId('msg'))
  const [pressed, setPressed] = useState(false)
  const press = (): void => {
    setPressed(true)
    onRegenerate(command)
  }
  return (
    <button type='button' className='link regenerate' disabled={pressed} onClick={press}>
      <Icon name='refresh' /> <span className='label'>Regenerate</span>
    </button>
  )
}

const SIGNED_OUT: RunNote = { tone: 'stopped', text: 'Sign in to continue' }

/** When the budget that stopped this run resets, in words; '' if that is unknown or past. */
function useBudgetReset(run: RunView): string {
  const allowance = useStore(useRoom().allowance)
  const isStopped = run.error?.code === 'budget_exceeded'
  const time = useView((view) => (isStopped ? view.messages.find(({ id }) => id === run.message)?.time : undefined))
  const now = useChat().client.now()
  const at = time === undefined ? undefined : resetTime(allowance, time, now)
  return at === undefined ? '' : resetNote(at, now)
}

const NONE: readonly CallView[] = []

/** The calls that a run waits for. It returns the same array while the calls are the same, as useView requires. */
function useCalls(run: RunView): readonly CallView[] {
  const last = useRef<readonly CallView[]>(NONE)
  return useView((view) => {
    const calls = run.status === 'waiting' || endsInCall(run) ? callsOf(view, run) : NONE
    const same = calls.length === last.current.length && calls.every((call, at) => call === last.current[at])
    if (!same) last.current = calls
    return last.current
  })
}
