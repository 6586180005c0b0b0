// App: the landmarks of the chat page. Everything below the session's key is mounted again when the session changes.
import { useEffect, useState } from 'react'
import { isAccessError } from './auth/access-note.ts'
import { NoAccess } from './auth/no-access.tsx'
import { SignInDialog, TokenNotice, useSignInRequired } from './auth/sign-in.tsx'
import { useAuth } from './auth/use-auth.ts'
import { Composer, MESSAGE_BOX } from './composer/composer.tsx'
import { useChat, useConnection, useRoom, useView } from './connection/use-chat.ts'
import { Announcer } from './conversation/announcer.tsx'
import { Conversation } from './conversation/conversation.tsx'
import { EditProvider } from './conversation/edit-box.tsx'
import { PageHeader } from './page-header.tsx'
import { SessionDialog, SessionSidebar } from './sessions/session-list.tsx'
import { BROKEN_PART, ErrorBoundary } from './shared/error-boundary.tsx'
import { ShortcutSheet, useShortcuts } from './shortcuts.tsx'

export function App() {
  const { sessionList } = useChat()
  const open = useConnection((state) => state.status === 'open')
  useEffect(() => {
    if (open) void sessionList.refresh()
  }, [sessionList, open])
  const { key } = useRoom()
  const [dialog, setDialog] = useState<'chats' | 'search' | 'shortcuts'>()
  useShortcuts({ onSearch: () => setDialog('search'), onSheet: () => setDialog('shortcuts') })
  const close = (): void => setDialog(undefined)
  return (
    <div className='page'>
      <SkipLink />
      <ErrorBoundary key={`header ${key}`} fallback={BROKEN_PART}>
        <PageHeader onList={() => setDialog('chats')} />
      </ErrorBoundary>
      <ErrorBoundary fallback={BROKEN_PART}>
        <SessionSidebar onShortcuts={() => setDialog('shortcuts')} />
      </ErrorBoundary>
      <ErrorBoundary fallback={BROKEN_PART}>
        <Notices />
      </ErrorBoundary>
      <SessionView key={key} />
      {dialog === 'chats' || dialog === 'search' ? (
        <SessionDialog search={dialog === 'search'} onClose={close} />
      ) : null}
      {dialog === 'shortcuts' ? <ShortcutSheet onClose={close} /> : null}
      <ErrorBoundary fallback={BROKEN_PART}>
        <SignIn />
      </ErrorBoundary>
    </div>
  )
}

/** For keyboard users. It is a button, because a link to a fragment would add an entry to the history. */
function SkipLink() {
  return (
    <button type='button' className='skip' onClick={() => document.getElementById(MESSAGE_BOX)?.focus()}>
      Skip to message box
    </button>
  )
}

function Notices() {
  const { auth, state } = useAuth()
  return (
    <div className='bars'>
      <TokenNotice />
      {state.notice === undefined ? null : (
        <div className='bar'>
          <span role='alert'>Couldn’t accept the invitation. {state.notice}</span>
          <button type='button' className='link' onClick={() => auth.dismiss()}>
            Dismiss
          </button>
        </div>
      )}
    </div>
  )
}

function SignIn() {
  const required = useSignInRequired()
  const [dismissed, setDismissed] = useState(false)
  if (!required || dismissed) return null
  return <SignInDialog onClose={() => setDismissed(true)} />
}

function SessionView() {
  const { recent, sessionList } = useChat()
  const { session } = useRoom()
  const title = useView((view) => view.title)
  const first = useView((view) => view.messages[0]?.text)
  const time = useView((view) => view.messages.at(-1)?.time)
  const error = useView((view) => view.error)
  useEffect(() => {
    document.title = title === undefined ? 'Parley' : `${title} · Parley`
  }, [title])
  useEffect(() => {
    if (first === undefined || time === undefined) return
    recent.note({ id: session.id, title: title ?? first, time })
    sessionList.refreshSoon()
  }, [recent, sessionList, session, title, first, time])
  useEffect(() => {
    if (title !== undefined) sessionList.overrideTitle(session.id, title)
  }, [sessionList, session, title])
  useEffect(() => {
    if (error === undefined || !isAccessError(error)) return
    recent.forget(session.id)
    sessionList.hide(session.id)
  }, [recent, sessionList, session, error])
  if (error !== undefined && isAccessError(error)) return <NoAccess error={error} />
  return (
    <EditProvider>
      <ErrorBoundary fallback={BROKEN_PART}>
        <Conversation />
      </ErrorBoundary>
      <ErrorBoundary fallback={BROKEN_PART}>
        <Composer />
      </ErrorBoundary>
      <ErrorBoundary fallback={null}>
        <Announcer />
      </ErrorBoundary>
    </EditProvider>
  )
}
