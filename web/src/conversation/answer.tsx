// Answer: a run as it is read: its parts in order, and a line that says how it stands. That line is always there, so
// that nothing jumps when the run ends.
import { type CallView, isEnded, ParleyError, type RunPart, type RunView, type SessionView } from '@parley/client'
import { memo, type ReactNode, useRef } from 'react'
import { freeAgain, freeAt } from '../budget/budget-note.ts'
import { useAllowance } from '../budget/use-allowance.ts'
import { isSignedOut } from '../connection/badge.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { Markdown } from '../markdown/markdown.tsx'
import { nameOf } from '../people/names.ts'
import { useMay, usePeople } from '../people/use-people.ts'
import { CopyButton } from '../shared/copy-button.tsx'
import { Icon } from '../shared/icon.tsx'
import { Reasoning } from './reasoning.tsx'
import { type RunNote, runNote } from './run-note.ts'
import { ToolCard } from './tool-card.tsx'

interface Props {
  readonly run: RunView
  /** Has it answered once more, where that may be asked for. */
  readonly onAgain?: () => void
}

export const Answer = memo(function Answer({ run, onAgain }: Props) {
  const unfinished = run.status === 'cancelled' || run.status === 'superseded' || run.status === 'failed'
  return (
    <article
      className={unfinished ? 'answer unfinished' : 'answer'}
      aria-label='Answer'
      aria-busy={!isEnded(run)}
      data-run={run.id}
      data-status={run.status}
    >
      {run.parts.map((part, at) => toPart(part, at, run))}
      <Note run={run} onAgain={onAgain} />
    </article>
  )
})

function toPart(part: RunPart, at: number, run: RunView): ReactNode {
  // Parts are only ever added at the end, so their place is their key.
  switch (part.type) {
    case 'text':
      return <Markdown key={at} text={part.text} ended={isOver(run, at)} />
    case 'reasoning':
      return <Reasoning key={at} text={part.text} going={!isOver(run, at)} />
    case 'tool':
      return <ToolCard key={part.call} call={part.call} name={part.name} />
    case 'message':
      return (
        <p key={part.message} className='marker'>
          Here it took up a message that was sent meanwhile
        </p>
      )
  }
}

/** Whether nothing more comes to that part. */
function isOver(run: RunView, at: number): boolean {
  return isEnded(run) || at < run.parts.length - 1
}

function Note({ run, onAgain }: { readonly run: RunView; readonly onAgain: Props['onAgain'] }) {
  const { session } = useRoom()
  const calls = useCalls(run)
  const user = useConnection((state) => state.user)
  const people = usePeople()
  const free = useFreeAgain(run)
  const signedOut = useConnection(isSignedOut)
  const told = runNote(run, calls, user, (other) => nameOf(people, other), free)
  // Nobody knows how it goes on: that would be waited for without an end.
  const { tone, text } = signedOut && told.tone === 'busy' ? UNFOLLOWED : told
  const withdraw = (): void => {
    session.cancel(run.id).catch((error: unknown) => {
      // Its turn came and it ended before the cancel did: the line says so itself.
      if (!(error instanceof ParleyError)) reportError(error)
    })
  }
  const may = useMay('send')
  const waits = run.status === 'queued' && run.supersededBy === undefined
  return (
    <p className={`note ${tone}`}>
      {tone === 'failed' ? <Icon name='warning' /> : null}
      {tone === 'stopped' ? <Icon name='stop' /> : null}
      {tone === 'busy' ? <span className='dots' aria-hidden='true' /> : null}
      <span>{text}</span>
      {waits && may ? (
        <button type='button' className='link' onClick={withdraw}>
          Withdraw
        </button>
      ) : null}
      {isEnded(run) && run.text !== '' ? (
        <CopyButton className='link copy-answer' text={run.text} label='Copy answer' />
      ) : null}
      {isEnded(run) && onAgain !== undefined ? (
        <button type='button' className='link again' onClick={onAgain}>
          <Icon name='again' /> <span className='label'>Regenerate</span>
        </button>
      ) : null}
    </p>
  )
}

const UNFOLLOWED: RunNote = { tone: 'stopped', text: 'Sign in to see how it goes on' }

/** When the budget that cut this run off is free again; '' where it is, or that is not known. */
function useFreeAgain(run: RunView): string {
  const allowance = useAllowance()
  const isCut = run.error?.code === 'budget_exceeded'
  const time = useView((view) => (isCut ? view.messages.find(({ id }) => id === run.message)?.time : undefined))
  const now = Date.now()
  const at = time === undefined ? undefined : freeAt(allowance, time, now)
  return at === undefined ? '' : freeAgain(at, now)
}

const NONE: readonly CallView[] = []

/** The calls that a run waits for; the same array while they are the same. */
function useCalls(run: RunView): readonly CallView[] {
  const held = useRef<readonly CallView[]>(NONE)
  return useView((view) => {
    const calls = run.status === 'waiting' ? callsOf(view, run) : NONE
    const same = calls.length === held.current.length && calls.every((call, at) => call === held.current[at])
    if (!same) held.current = calls
    return held.current
  })
}

function callsOf(view: SessionView, run: RunView): readonly CallView[] {
  return run.parts.flatMap((part) => {
    const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
    return call === undefined ? [] : [call]
  })
}
