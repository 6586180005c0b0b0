// SessionList: the person's sessions, of whatever device, beside the conversation where there is room, else in a dialog.
import { type MouseEvent, useEffect, useState, useSyncExternalStore } from 'react'
import { Account } from '../auth/sign-in.tsx'
import { useChat, useRoom } from '../connection/use-chat.ts'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { type ShownSession, shownSessions } from './merged-sessions.ts'
import { SessionSettings } from './session-settings.tsx'

export function SessionAside() {
  return (
    <nav className='sessions-aside' aria-label='Sessions'>
      <h2>Sessions</h2>
      <SessionList />
      <Account />
    </nav>
  )
}

export function SessionDialog({ onClose }: { readonly onClose: () => void }) {
  const { directory } = useChat()
  useEffect(() => void directory.refresh(), [directory])
  return (
    <Dialog title='Sessions' className='sessions-dialog' onClose={onClose}>
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
  const directory = useSyncExternalStore(chat.directory.subscribe, () => chat.directory.state)
  const recent = useSyncExternalStore(chat.recent.subscribe, () => chat.recent.state)
  const [settled, setSettled] = useState<ShownSession>()
  const sessions = shownSessions(directory.sessions, recent)
  const waiting = chat.waiting()
  const choose = (event: MouseEvent, id: string): void => {
    // Into another tab or window it goes as any link does.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    chat.go(id)
    onChosen?.()
  }
  if (sessions.length === 0)
    return <p className='sessions-none'>None yet. A session comes here when it is spoken in.</p>
  return (
    <>
      <ul className='sessions'>
        {sessions.map((shown) => (
          <li key={shown.id}>
            <a
              href={chat.addressOf(shown.id).href}
              aria-current={shown.id === session.id ? 'page' : undefined}
              onClick={(event) => choose(event, shown.id)}
            >
              <span className='session-title'>{shown.title}</span>
              <Place time={shown.time} waits={waiting.has(shown.id) && shown.id !== session.id} />
            </a>
            <button
              type='button'
              className='more'
              aria-label={`More: ${shown.title}`}
              aria-haspopup='dialog'
              onClick={() => setSettled(shown)}
            >
              <Icon name='more' />
            </button>
          </li>
        ))}
      </ul>
      {directory.next === undefined ? null : (
        <button type='button' className='button quiet' onClick={() => void chat.directory.more()}>
          Show more
        </button>
      )}
      {directory.status === 'failed' ? (
        <p className='sessions-none'>
          The list could not be read.{' '}
          <button type='button' className='link' onClick={() => void chat.directory.refresh()}>
            Try again
          </button>
        </p>
      ) : null}
      {settled === undefined ? null : (
        // What the server lists of it may come a moment later.
        <SessionSettings
          shown={sessions.find(({ id }) => id === settled.id) ?? settled}
          onClose={() => setSettled(undefined)}
        />
      )}
    </>
  )
}

function Place({ time, waits }: { readonly time: number; readonly waits: boolean }) {
  const date = new Date(time)
  const isToday = date.toDateString() === new Date().toDateString()
  const text = isToday
    ? date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
  return (
    <span className='session-place'>
      <time dateTime={date.toISOString()}>{text}</time>
      {waits ? <span className='session-waits'>Unsent message</span> : null}
    </span>
  )
}
