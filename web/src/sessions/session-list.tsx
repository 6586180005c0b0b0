// SessionList: the user's chats from all devices. It is a sidebar on wide screens, and a dialog on narrow ones.
import { type MouseEvent, useEffect, useState } from 'react'
import { Account } from '../auth/sign-in.tsx'
import { useChat, useRoom } from '../connection/use-chat.ts'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { useStore } from '../shared/store.ts'
import { ThemeSwitch } from '../shared/theme.tsx'
import { type MergedSession, mergeSessions, withWords } from './merged-sessions.ts'
import { SessionSettings } from './session-settings.tsx'

/** A search loads further pages until it has this many results, or has searched this many chats. */
const MIN_RESULTS = 10
const MAX_SEARCHED = 2_000
/** Browsers lay out a text field as a whole. */
const QUERY_MAX = 1_000

export function SessionSidebar({ onShortcuts }: { readonly onShortcuts: () => void }) {
  return (
    <nav className='sessions-sidebar' aria-label='Chats'>
      <h2>Chats</h2>
      <SessionList />
      <Account />
      <div className='sidebar-foot'>
        <ThemeSwitch />
        <button type='button' className='link quiet' aria-haspopup='dialog' aria-keyshortcuts='?' onClick={onShortcuts}>
          Shortcuts
        </button>
      </div>
    </nav>
  )
}

interface DialogProps {
  /** Puts the focus into the search box. */
  readonly search: boolean
  readonly onClose: () => void
}

export function SessionDialog({ search, onClose }: DialogProps) {
  const { sessionList } = useChat()
  const [query, setQuery] = useState('')
  useEffect(() => void sessionList.refresh(), [sessionList])
  return (
    <Dialog title='Chats' className='sessions-dialog' onClose={onClose}>
      {(close) => (
        <>
          <form
            onSubmit={(event) => {
              event.preventDefault()
              // Enter opens the first result.
              event.currentTarget.parentElement?.querySelector<HTMLElement>('.sessions a')?.click()
            }}
          >
            <input
              type='search'
              className='session-search'
              aria-label='Search chats'
              placeholder='Search chats'
              autoComplete='off'
              dir='auto'
              maxLength={QUERY_MAX}
              data-first={search ? '' : undefined}
              value={query}
              onChange={({ target }) => setQuery(target.value)}
            />
          </form>
          <SessionList query={query} onChosen={close} />
          <Account />
          <ThemeSwitch />
        </>
      )}
    </Dialog>
  )
}

interface ListProps {
  /** Words that the titles must contain. */
  readonly query?: string
  readonly onChosen?: () => void
}

function SessionList({ query = '', onChosen }: ListProps) {
  const chat = useChat()
  const { session } = useRoom()
  const list = useStore(chat.sessionList)
  const recent = useStore(chat.recent)
  const [managed, setManaged] = useState<MergedSession>()
  const all = mergeSessions(list.sessions, recent)
  const sessions = withWords(all, query)
  // The server does not search, so further pages are loaded until there are enough results.
  const isFull = all.length >= MAX_SEARCHED && list.next !== undefined
  const failed = list.status === 'failed'
  const isSearching =
    query.trim() !== '' && sessions.length < MIN_RESULTS && list.next !== undefined && !isFull && !failed
  // After each change of the list: a refresh meanwhile drops the page that was requested.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above.
  useEffect(() => {
    if (isSearching) void chat.sessionList.more()
  }, [chat, isSearching, list])
  const unsent = chat.sessionsWithUnsent()
  const choose = (event: MouseEvent, id: string): void => {
    // With a modifier key the browser opens the link in another tab or window.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    chat.open(id)
    onChosen?.()
  }
  if (sessions.length === 0 && !failed) {
    const none = isFull ? `Not found in the latest ${MAX_SEARCHED.toLocaleString('en')} chats.` : 'No chats found.'
    return (
      <p className='sessions-none' role='status'>
        {all.length === 0 ? 'No chats yet.' : isSearching ? 'Searching…' : none}
      </p>
    )
  }
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
      {failed ? (
        <p className='sessions-none' role='alert'>
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
