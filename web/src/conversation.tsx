// Conversation: the messages in the order of the log, each with its answer; then what was not taken yet. Only the turns
// near what is seen are in the page, so that a long conversation is as light as a short one. The list renders when a
// message comes; while an answer streams, only that answer does.

import type { MessageView, PendingSend } from '@parley/client'
import { memo, useEffect, useMemo, useRef } from 'react'
import { type CustomItemComponentProps, Virtualizer } from 'virtua'
import { Answer } from './answer.tsx'
import { answerOf } from './answer-of.ts'
import { Icon } from './icon.tsx'
import { Message, PendingMessage, UnsentMessage } from './message.tsx'
import type { Outgoing } from './outbox.ts'
import { useConnection, useView } from './use-chat.ts'
import { useFocusedTurn } from './use-focused-turn.ts'
import { useSender } from './use-sender.ts'
import { useStickToEnd } from './use-stick-to-end.ts'

/** Pixels above and below what is seen that are in the page, too: a few screens, so that nobody scrolls into nothing. */
const AROUND = 1_500

type Item =
  | { readonly kind: 'message'; readonly message: MessageView }
  | { readonly kind: 'pending'; readonly message: PendingSend }
  | { readonly kind: 'unsent'; readonly message: Outgoing }

export function Conversation() {
  const { state } = useSender()
  const items = useItems(state.unsent)
  const box = useRef<HTMLElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const { atEnd, toEnd } = useStickToEnd(box, content)
  const focused = useFocusedTurn()
  useEffect(() => {
    if (state.sends > 0) toEnd()
  }, [state.sends, toEnd])
  const kept = items.findIndex(({ message }) => message.id === focused.id)

  return (
    <main className='conversation'>
      <h2 className='unseen'>Conversation</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <section className='conversation-box' ref={box} tabIndex={0} aria-label='Conversation' onFocus={focused.onFocus}>
        <div className='conversation-content' ref={content}>
          {items.length === 0 ? <Welcome /> : null}
          <Virtualizer
            as='ol'
            item={TurnPlace}
            data={items}
            scrollRef={box}
            bufferSize={AROUND}
            keepMounted={kept < 0 ? NONE : [kept]}
          >
            {(item) => <Turn key={item.message.id} item={item} />}
          </Virtualizer>
        </div>
      </section>
      {atEnd ? null : (
        <button type='button' className='to-end' onClick={toEnd}>
          <Icon name='down' /> Jump to latest
        </button>
      )}
    </main>
  )
}

const NONE: readonly number[] = []

function useItems(unsent: readonly Outgoing[]): readonly Item[] {
  const messages = useView((view) => view.messages)
  const pending = useView((view) => view.pending)
  return useMemo(
    () => [
      ...messages.map((message): Item => ({ kind: 'message', message })),
      ...pending.map((message): Item => ({ kind: 'pending', message })),
      ...unsent.map((message): Item => ({ kind: 'unsent', message })),
    ],
    [messages, pending, unsent],
  )
}

/** A screen reader is told which of all the turns this is: the others are not in the page. */
function TurnPlace({ style, index, children, ref }: CustomItemComponentProps) {
  return (
    <li className='turn-place' style={style} ref={ref} aria-posinset={index + 1} aria-setsize={-1}>
      {children}
    </li>
  )
}

const Turn = memo(
  function Turn({ item }: { readonly item: Item }) {
    return (
      <div className='turn' data-turn={item.message.id}>
        {item.kind === 'message' ? <Taken message={item.message} /> : null}
        {item.kind === 'pending' ? <Pending message={item.message} /> : null}
        {item.kind === 'unsent' ? <Unsent message={item.message} /> : null}
      </div>
    )
  },
  // Items are made anew with each message that comes; what they hold is not.
  (before, after) => before.item.kind === after.item.kind && before.item.message === after.item.message,
)

function Taken({ message }: { readonly message: MessageView }) {
  const run = useView((view) => answerOf(view, message))
  return (
    <>
      <Message message={message} />
      {run === undefined ? null : <Answer run={run} />}
    </>
  )
}

function Pending({ message }: { readonly message: PendingSend }) {
  const offline = useConnection((state) => state.status !== 'open')
  return <PendingMessage message={message} offline={offline} />
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

function Welcome() {
  const live = useView((view) => view.status === 'live')
  if (!live) return null
  return (
    <div className='welcome'>
      <h2>A new conversation</h2>
      <p>
        It lives at this page’s address: open the address in another tab or on another device to join it, now or later.
        You can leave in the middle of an answer, and interrupt one by writing.
      </p>
    </div>
  )
}
