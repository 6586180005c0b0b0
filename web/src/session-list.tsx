// SessionList: the sessions of this browser: beside the conversation where there is room, else in a dialog.
import { type MouseEvent, useEffect, useRef, useSyncExternalStore } from 'react'
import { Icon } from './icon.tsx'
import type { RecentSession } from './recent-sessions.ts'
import { useChat, useRoom } from './use-chat.ts'

export function SessionAside() {
  return (
    <nav className='sessions-aside' aria-label='Recent sessions'>
      <h2>Sessions in this browser</h2>
      <SessionList />
    </nav>
  )
}

export function SessionDialog({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    // The browser keeps the focus inside, and gives it back.
    dialog.current?.showModal()
  }, [])
  return (
    <dialog ref={dialog} className='sessions-dialog' aria-label='Recent sessions' onClose={onClose}>
      <header>
        <h2>Sessions in this browser</h2>
        <button type='button' className='button quiet' aria-label='Close' onClick={() => dialog.current?.close()}>
          <Icon name='close' />
        </button>
      </header>
      <SessionList onChosen={() => dialog.current?.close()} />
    </dialog>
  )
}

function SessionList({ onChosen }: { readonly onChosen?: () => void }) {
  const chat = useChat()
  const { session } = useRoom()
  const sessions = useSyncExternalStore(chat.recent.subscribe, () => chat.recent.state)
  const waiting = chat.waiting()
  if (sessions.length === 0)
    return <p className='sessions-none'>None yet. A session comes here when it is spoken in.</p>
  const choose = (event: MouseEvent, id: string): void => {
    // Into another tab or window it goes as any link does.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    chat.go(id)
    onChosen?.()
  }
  return (
    <ul className='sessions'>
      {sessions.map((recent) => (
        <li key={recent.id}>
          <a
            href={chat.addressOf(recent.id).href}
            aria-current={recent.id === session.id ? 'page' : undefined}
            onClick={(event) => choose(event, recent.id)}
          >
            <span className='session-title'>{recent.title}</span>
            <Place recent={recent} waits={waiting.has(recent.id) && recent.id !== session.id} />
          </a>
          <button
            type='button'
            className='forget'
            aria-label={`Forget ${recent.title}`}
            title='Take it off this list; the session itself stays'
            onClick={() => chat.recent.forget(recent.id)}
          >
            <Icon name='close' />
          </button>
        </li>
      ))}
    </ul>
  )
}

function Place({ recent, waits }: { readonly recent: RecentSession; readonly waits: boolean }) {
  const date = new Date(recent.time)
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
