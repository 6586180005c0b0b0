// Message: a user's message: stored in the log, pending, or refused.
import type { Delay, MessageView, Part, PendingSend } from '@parley/client'
import type { ReactNode } from 'react'
import type { UnsentMessage } from '../composer/unsent-messages.ts'
import { delayNote } from '../connection/error-note.ts'
import { useView } from '../connection/use-chat.ts'
import { Markdown } from '../markdown/markdown.tsx'
import { useAuthor } from '../people/use-people.ts'
import { displayText } from '../shared/display-text.ts'
import { Icon } from '../shared/icon.tsx'
import { useNow } from '../shared/use-now.ts'
import { truncate } from './call-note.ts'

export function Message({ message }: { readonly message: MessageView }) {
  const author = useAuthor(message.author)
  const steers = useView((view) => {
    const target = view.runs.get(message.run)
    return message.policy === 'steer' && target?.message !== undefined && target.message !== message.id
  })
  return (
    <Bubble author={author} to={steers ? undefined : message.agent} time={message.time} content={message.content}>
      {steers ? <p className='bubble-note'>Added to the answer above</p> : null}
    </Bubble>
  )
}

interface PendingProps {
  readonly message: PendingSend
  readonly waitsFor: 'connection' | 'sign-in' | undefined
}

export function PendingMessage({ message, waitsFor }: PendingProps) {
  return (
    <Bubble author='You' to={message.policy === 'steer' ? undefined : message.agent} content={message.content} pending>
      <p className='bubble-note'>
        <Icon name='clock' />{' '}
        {waitsFor !== undefined ? (
          `Will be sent when you ${waitsFor === 'connection' ? 'reconnect' : 'sign in'}`
        ) : message.delayed === undefined ? (
          'Sending…'
        ) : (
          <Delayed delay={message.delayed} />
        )}
      </p>
    </Bubble>
  )
}

function Delayed({ delay: { code, until } }: { readonly delay: Delay }) {
  const now = useNow(true)
  return <span>{delayNote(code, until, now)}</span>
}

/** It may have been refused because it is too long, and browsers take seconds to lay out such a text. */
const REFUSED_CHARS = 4_000

interface RefusedProps {
  readonly message: UnsentMessage
  readonly onRetry: (message: UnsentMessage) => void
  readonly onEdit: (message: UnsentMessage) => void
  readonly onDismiss: (message: UnsentMessage) => void
}

export function RefusedMessage({ message, onRetry, onEdit, onDismiss }: RefusedProps) {
  return (
    <Bubble
      author='You'
      to={message.agent}
      content={[{ type: 'text', text: truncate(message.text, REFUSED_CHARS) }]}
      pending
    >
      <p className='bubble-note bad' role='alert'>
        Not sent: {message.refused}
      </p>
      <div className='buttons'>
        <button type='button' className='button' onClick={() => onRetry(message)}>
          Try again
        </button>
        {/* The message box has no files. */}
        {message.parts === undefined ? (
          <button type='button' className='button' onClick={() => onEdit(message)}>
            Edit
          </button>
        ) : null}
        <button type='button' className='button quiet' onClick={() => onDismiss(message)}>
          Discard
        </button>
      </div>
    </Bubble>
  )
}

/** A bubble with more UTF-16 code units has its full width: browsers take several times as long to find how wide a text is. */
const WIDE_CHARS = 1_000

interface BubbleProps {
  readonly author: string
  /** The agent that it names. */
  readonly to?: string | undefined
  readonly time?: number
  readonly content: readonly Part[]
  readonly pending?: boolean
  readonly children?: ReactNode
}

function Bubble({ author, to, time, content, pending = false, children }: BubbleProps) {
  const addressee = to === undefined ? '' : ` to ${displayText(to)}`
  const isLong = content.some((part) => part.type === 'text' && part.text.length > WIDE_CHARS)
  return (
    <article className={pending ? 'message pending' : 'message'} aria-label={`Message from ${author}${addressee}`}>
      <header className='message-head'>
        <span dir='auto'>{`${author}${addressee}`}</span>
        {time === undefined ? null : <Time time={time} />}
      </header>
      <div className={isLong ? 'bubble wide' : 'bubble'}>{content.map(toPart)}</div>
      {children}
    </article>
  )
}

function toPart(part: Part, at: number): ReactNode {
  // The parts of a message never change, so the index is a stable key.
  if (part.type === 'text') return <Markdown key={at} text={part.text} ended />
  return (
    <p key={at} className='file'>
      <Icon name='file' /> {part.name ?? part.mediaType}
    </p>
  )
}

function Time({ time }: { readonly time: number }) {
  const date = new Date(time)
  const isToday = date.toDateString() === new Date().toDateString()
  const text = isToday
    ? date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  return <time dateTime={date.toISOString()}>{text}</time>
}
