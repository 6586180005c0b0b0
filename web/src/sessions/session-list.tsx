// SessionList: the user's chats from all devices. It is a sidebar on wide screens, and a dialog on narrow ones.
import { type MouseEvent, useEffect, useState } from 'react'
import { Account } from '../auth/sign-in.tsx'
import { useChat, useRoom } from '../connection/use-chat.ts'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { useStore } from '../shared/store.ts'
import { type MergedSession, mergeSessions } from './merged-sessions.ts'
import { SessionSettings } from './session-settings.tsx'

export function SessionSidebar() {
  return (
    <nav className='sessions-sidebar' aria-label='Chats'>
      <h2>Chats</h2>
      <SessionList />
      <Account />
    </nav>
  )
}

export function SessionDialog({ onClose }: { readonly onClose: () => void }) {
  const { sessionList } = useChat()
  useEffect(() => void sessionList.refresh(), [sessionList])
  return (
    <Dialog title='Chats' className='sessions-dialog' onClose={onClose}>
      {(close) => (
        <>
          <SessionList onChosen={close} />
          <Account />
        </>
      )}
    </Dialog>
  )
}

function SessionList({ onChosen }: { readonly onChosen?: () => void }) {
  const chat = useChat()
  const { session } = useRoom()
  const list = useStore(chat.sessionList)
  const recent = useStore(chat.recent)
  const [managed, setManaged] = useState<MergedSession>()
  const sessions = mergeSessions(list.sessions, recent)
  const unsent = chat.sessionsWithUnsent()
  const choose = (event: MouseEvent, id: string): void => {
    // With a modifier key the browser opens the link in another tab or window.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    chat.open(id)
    onChosen?.()
  }
  if (sessions.length === 0) return <p className='sessions-none'>No chats yet.</p>
  return (
    <>
      <ul className='sessions'>
        {sessions.map((each) => (
          <li key={each.id}>
            <a
              href={chat.addressOf(each.id).href}
              aria-current={each.id === session.id ? 'page' : undefined}
              onClick={(event) => choose(event, each.id)}
            >
              <span className='session-title' dir='auto'>
                {each.title}
              </span>
              <SessionMeta time={each.time} hasUnsent={unsent.has(each.id) && each.id !== session.id} />
            </a>
            <button
              type='button'
              className='more'
              aria-label={`Options for ${each.title}`}
              aria-haspopup='dialog'
              onClick={() => setManaged(each)}
            >
              <Icon name='more' />
            </button>
          </li>
        ))}
      </ul>
      {list.next === undefined ? null : (
        <button type='button' className='button quiet' onClick={() => void chat.sessionList.more()}>
          Show more
        </button>
      )}
      {list.status === 'failed' ? (
        <p className='sessions-none'>
          Couldn’t load chats.{' '}
          <button type='button' className='link' onClick={() => void chat.sessionList.refresh()}>
            Try again
          </button>
        </p>
      ) : null}
      {managed === undefined ? null : (
        // The list may change while the dialog is open.
        <SessionSettings
          session={sessions.find(({ id }) => id === managed.id) ?? managed}
          onClose={() => setManaged(undefined)}
        />
      )}
    </>
  )
}

function SessionMeta({ time, hasUnsent }: { readonly time: number; readonly hasUnsent: boolean }) {
  const date = new Date(time)
  const isToday = date.toDateString() === new Date().toDateString()
  const text = isToday
    ? date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
  return (
    <span className='session-meta'>
      <time dateTime={date.toISOString()}>{text}</time>
      {hasUnsent ? <span className='session-unsent'>Unsent message</span> : null}
    </span>
  )
}
