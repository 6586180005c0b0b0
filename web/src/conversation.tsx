// Conversation: the messages in the order of the log, each with its answer; then what was not taken yet. The list
// renders when a message comes; while an answer streams, only that answer does.

import type { MessageView } from '@parley/client'
import { memo, useEffect, useRef } from 'react'
import { Answer } from './answer.tsx'
import { answerOf } from './answer-of.ts'
import { Icon } from './icon.tsx'
import { Message, PendingMessage, UnsentMessage } from './message.tsx'
import { useConnection, useView } from './use-chat.ts'
import type { Unsent } from './use-sender.ts'
import { useStickToEnd } from './use-stick-to-end.ts'

interface Props {
  readonly unsent: readonly Unsent[]
  readonly onRetry: (unsent: Unsent) => void
  readonly onDismiss: (unsent: Unsent) => void
  readonly sends: number
}

export function Conversation({ unsent, onRetry, onDismiss, sends }: Props) {
  const messages = useView((view) => view.messages)
  const pending = useView((view) => view.pending)
  const waiting = useConnection((state) => state.status !== 'open')
  const box = useRef<HTMLElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const { atEnd, toEnd } = useStickToEnd(box, content)
  useEffect(() => {
    if (sends > 0) toEnd()
  }, [sends, toEnd])
  const empty = messages.length + pending.length + unsent.length === 0

  return (
    <main className='conversation'>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <section className='conversation-box' ref={box} tabIndex={0} aria-label='Conversation'>
        <div className='conversation-content' ref={content}>
          {empty ? <Welcome /> : null}
          <ol className='turns'>
            {messages.map((message) => (
              <Turn key={message.id} message={message} />
            ))}
            {pending.map((message) => (
              <li className='turn' key={message.id}>
                <PendingMessage message={message} offline={waiting} />
              </li>
            ))}
            {unsent.map((message) => (
              <li className='turn' key={message.id}>
                <UnsentMessage unsent={message} onRetry={onRetry} onDismiss={onDismiss} />
              </li>
            ))}
          </ol>
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

const Turn = memo(function Turn({ message }: { readonly message: MessageView }) {
  const run = useView((view) => answerOf(view, message))
  return (
    <li className='turn' data-message={message.id}>
      <Message message={message} />
      {run === undefined ? null : <Answer run={run} />}
    </li>
  )
})

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
