// Turn: a message of the conversation with its answer, one that is on its way, or one that was refused. It belongs to its place
// in the conversation: another version of the message takes it over, with the focus, where that was.
import type { MessageView, PendingSend, TurnView } from '@parley/client'
import { memo, type RefObject, useCallback, useRef } from 'react'
import type { Outgoing } from '../composer/unsent-messages.ts'
import { useSender } from '../composer/use-sender.ts'
import { isSignedOut } from '../connection/badge.ts'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { useMay } from '../people/use-people.ts'
import { Icon } from '../shared/icon.tsx'
import { Answer } from './answer.tsx'
import { answerOf } from './answer-of.ts'
import { EditBox } from './edit-box.tsx'
import { useEditing } from './editing.ts'
import { Message, PendingMessage, UnsentMessage } from './message.tsx'
import { Versions } from './versions.tsx'

interface ItemPlace {
  /** Where it stands, whichever message that is. */
  readonly place: string
  /** The message's. */
  readonly id: string
}

export type Item = ItemPlace &
  ({ readonly kind: 'turn'; readonly turn: TurnView } | { readonly kind: 'unsent'; readonly message: Outgoing })

export const Turn = memo(
  function Turn({ item }: { readonly item: Item }) {
    const box = useRef<HTMLDivElement>(null)
    return (
      <div className='turn' data-turn={item.place} ref={box} tabIndex={-1}>
        {item.kind === 'unsent' ? <Unsent message={item.message} /> : <Shown turn={item.turn} box={box} />}
      </div>
    )
  },
  // Items are made anew with each message that comes; what they hold is not.
  ({ item: before }, { item: after }) =>
    before.kind === 'turn' && after.kind === 'turn'
      ? before.turn === after.turn && before.place === after.place
      : before.kind === 'unsent' && after.kind === 'unsent' && before.message === after.message,
)

interface ShownProps {
  readonly turn: TurnView
  readonly box: RefObject<HTMLDivElement | null>
}

function Shown({ turn, box }: ShownProps) {
  const { message } = turn
  const { editing } = useEditing()
  const run = useView((view) => (turn.kind === 'message' ? answerOf(view, turn.message) : undefined))
  const { sender } = useRoom()
  const may = useMay('send')
  const again = useCallback(() => {
    if (turn.kind !== 'message') return
    sender.regenerate(turn.message)
    // The button goes with the answer.
    box.current?.focus({ preventScroll: true })
  }, [sender, turn, box])
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
          {turn.kind === 'message' && run !== undefined && may ? <EditButton message={turn.message} /> : null}
          <Versions turn={turn} />
        </div>
      </div>
      {run === undefined ? null : <Answer key={run.id} run={run} {...(may ? { onAgain: again } : {})} />}
    </>
  )
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
      <Icon name='pen' /> Edit
    </button>
  )
}

interface EditedProps extends Pick<ShownProps, 'box'> {
  readonly message: MessageView
  readonly text: string
}

function Edited({ message, text, box }: EditedProps) {
  const { edit } = useEditing()
  const { sender } = useRoom()
  const leave = (): void => {
    edit(undefined)
    // Once the button is back.
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>('[data-edit]')?.focus())
  }
  const send = (): void => {
    if (text === message.text) {
      leave()
      return
    }
    sender.edit(message, text)
    edit(undefined)
    box.current?.focus({ preventScroll: true })
  }
  return <EditBox text={text} onChange={(now) => edit({ id: message.id, text: now })} onSend={send} onLeave={leave} />
}

function Pending({ message }: { readonly message: PendingSend }) {
  const offline = useConnection((state) => state.status !== 'open')
  const signedOut = useConnection(isSignedOut)
  return <PendingMessage message={message} waitsFor={signedOut ? 'sign-in' : offline ? 'connection' : undefined} />
}

function Unsent({ message }: { readonly message: Outgoing }) {
  const { sender } = useSender()
  return (
    <UnsentMessage
      unsent={message}
      onRetry={(unsent) => sender.retry(unsent)}
      onDismiss={(unsent) => sender.dismiss(unsent)}
    />
  )
}
