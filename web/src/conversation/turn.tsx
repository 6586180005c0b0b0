// Turn: a message with its answer, a pending message, or a refused one. It belongs to a position in the conversation:
// when another version of the message appears there, the turn and its focus stay.
import { agentOfNext, type MessageView, type PendingSend, type TurnView } from '@parley/client'
import { useRun } from '@parley/react'
import { memo, type RefObject, useCallback, useRef } from 'react'
import { type Choice, choiceOf, offeredChoice } from '../composer/choices.ts'
import { MESSAGE_BOX } from '../composer/composer.tsx'
import type { UnsentMessage } from '../composer/unsent-messages.ts'
import { isSignedOut } from '../connection/badge.ts'
import type { Room } from '../connection/chat.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { useMay } from '../people/use-people.ts'
import { displayText } from '../shared/display-text.ts'
import { ErrorBoundary } from '../shared/error-boundary.tsx'
import { Icon } from '../shared/icon.tsx'
import { LongText } from '../shared/long-text.tsx'
import { Answer } from './answer.tsx'
import { EditBox, useEditing } from './edit-box.tsx'
import { Message, PendingMessage, RefusedMessage } from './message.tsx'
import { Versions } from './versions.tsx'

interface ItemPosition {
  /** The position in the conversation. All versions of a message share it. */
  readonly position: string
  /** The message's id. */
  readonly id: string
}

export type Item = ItemPosition &
  ({ readonly kind: 'turn'; readonly turn: TurnView } | { readonly kind: 'refused'; readonly message: UnsentMessage })

export const Turn = memo(
  function Turn({ item }: { readonly item: Item }) {
    const box = useRef<HTMLDivElement>(null)
    return (
      <div className='turn' data-turn={item.position} ref={box} tabIndex={-1}>
        <ErrorBoundary fallback={<PlainTurn item={item} />}>
          {item.kind === 'refused' ? <Refused message={item.message} /> : <Exchange turn={item.turn} box={box} />}
        </ErrorBoundary>
      </div>
    )
  },
  // Each new message creates new items, but their turns and messages stay the same objects.
  ({ item: before }, { item: after }) =>
    before.kind === 'turn' && after.kind === 'turn'
      ? before.turn === after.turn && before.position === after.position
      : before.kind === 'refused' && after.kind === 'refused' && before.message === after.message,
)

interface ExchangeProps {
  readonly turn: TurnView
  readonly box: RefObject<HTMLDivElement | null>
}

function Exchange({ turn, box }: ExchangeProps) {
  const { message } = turn
  const { editing } = useEditing()
  const room = useRoom()
  const run = useRun(room.session, turn)
  const maySend = useMay('send')
  const regenerate = useCallback(
    (command: string) => {
      if (turn.kind !== 'message') return
      room.sender.regenerate(turn.message, choiceFor(turn.message, room), command)
      // The button disappears with the previous answer.
      box.current?.focus({ preventScroll: true })
    },
    [room, turn, box],
  )
  const isLast = useView((view) => view.turns.at(-1)?.message.id === message.id)
  const proceed = useCallback(() => {
    if (turn.kind === 'message') {
      const { model, agent } = choiceFor(turn.message, room)
      // After a hand-off, the agent that had the last word continues.
      const isHanded = agentOfNext(room.session.state) !== undefined
      room.sender.send('Continue', 'queue', choiceOf(model, isHanded ? undefined : agent))
    }
    box.current?.focus({ preventScroll: true })
  }, [room, turn, box])
  return (
    <>
      <div className='asked'>
        {turn.kind === 'pending' ? (
          <Pending key={message.id} message={turn.message} />
        ) : editing?.id === message.id ? (
          <Edited key={message.id} message={turn.message} text={editing.text} box={box} />
        ) : (
          <Message key={message.id} message={turn.message} />
        )}
        <div className='asked-row'>
          {turn.kind === 'message' && run !== undefined && maySend ? <EditButton message={turn.message} /> : null}
          <Versions turn={turn} />
        </div>
      </div>
      {run === undefined ? null : (
        <Answer
          key={run.id}
          run={run}
          {...(maySend ? { onRegenerate: regenerate } : {})}
          {...(maySend && isLast ? { onContinue: proceed } : {})}
        />
      )}
    </>
  )
}

/** For a turn that fails to render: its texts as they are. */
function PlainTurn({ item }: { readonly item: Item }) {
  const { text } = item.kind === 'turn' ? item.turn.message : item.message
  const run = useRun(useRoom().session, item.kind === 'turn' ? item.turn : undefined)
  return (
    <>
      <article className='message'>
        <p className='bubble' dir='auto'>
          <LongText text={displayText(text)} />
        </p>
      </article>
      {run === undefined ? null : (
        <article className='answer' aria-label='Answer' data-run={run.id} data-status={run.status}>
          <p className='text' dir='auto'>
            <LongText text={displayText(run.text)} />
          </p>
        </article>
      )}
      <p className='note failed'>Something went wrong. This turn is shown as plain text.</p>
    </>
  )
}

function choiceFor(message: MessageView, { choice, allowance }: Room): Choice {
  return offeredChoice(message, choice.state, allowance.state.offers)
}

function EditButton({ message }: { readonly message: MessageView }) {
  const { editing, edit } = useEditing()
  if (editing?.id === message.id) return null
  return (
    <button
      type='button'
      className='link quiet'
      data-edit={message.id}
      onClick={() => edit({ id: message.id, text: message.text })}
    >
      <Icon name='edit' /> Edit
    </button>
  )
}

interface EditedProps extends Pick<ExchangeProps, 'box'> {
  readonly message: MessageView
  readonly text: string
}

function Edited({ message, text, box }: EditedProps) {
  const { edit } = useEditing()
  const room = useRoom()
  const cancel = (): void => {
    edit(undefined)
    // In the next frame the edit button is there again.
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>('[data-edit]')?.focus())
  }
  const send = (): void => {
    if (text === message.text) {
      cancel()
      return
    }
    room.sender.edit(message, text, choiceFor(message, room))
    edit(undefined)
    box.current?.focus({ preventScroll: true })
  }
  return <EditBox text={text} onChange={(now) => edit({ id: message.id, text: now })} onSend={send} onCancel={cancel} />
}

function Pending({ message }: { readonly message: PendingSend }) {
  const offline = useConnection((state) => state.status !== 'open')
  const signedOut = useConnection(isSignedOut)
  return <PendingMessage message={message} waitsFor={signedOut ? 'sign-in' : offline ? 'connection' : undefined} />
}

function Refused({ message }: { readonly message: UnsentMessage }) {
  const { sender, draft, choice, session } = useRoom()
  const { edit: reopen } = useEditing()
  const edit = ({ text, parent, model, agent }: UnsentMessage): void => {
    sender.dismiss(message)
    // A new version of an earlier message stays one.
    const earlier = parent === undefined ? undefined : session.state.turns.find(({ after }) => after === (parent ?? ''))
    if (earlier?.kind === 'message') {
      reopen({ id: earlier.message.id, text })
      return
    }
    draft.bringBack(text)
    choice.choose(choiceOf(model, agent))
    document.getElementById(MESSAGE_BOX)?.focus()
  }
  return (
    <RefusedMessage
      message={message}
      onRetry={(refused) => sender.retry(refused)}
      onEdit={edit}
      onDismiss={(refused) => sender.dismiss(refused)}
    />
  )
}
