// App: the page's landmarks. All that belongs to one session is made anew when the session changes.
import { useEffect, useState } from 'react'
import { isShut } from './auth/access-note.ts'
import { ShutSession } from './auth/no-access.tsx'
import { SignInDialog, TokenNotice, useKeptOut } from './auth/sign-in.tsx'
import { useEntrance } from './auth/use-auth.ts'
import { Composer, MESSAGE_BOX } from './composer/composer.tsx'
import { useChat, useConnection, useRoom, useView } from './connection/use-chat.ts'
import { Announcer } from './conversation/announcer.tsx'
import { Conversation } from './conversation/conversation.tsx'
import { PageHeader } from './page-header.tsx'
import { SessionAside, SessionDialog } from './sessions/session-list.tsx'

export function App() {
  const { directory } = useChat()
  const open = useConnection((state) => state.status === 'open')
  useEffect(() => {
    if (open) void directory.refresh()
  }, [directory, open])
  const { key } = useRoom()
  const [listOpen, setListOpen] = useState(false)
  return (
    <div className='page'>
      <SkipLink />
      <PageHeader key={`header ${key}`} onList={() => setListOpen(true)} />
      <SessionAside />
      <Notices />
      <Talk key={key} />
      {listOpen ? <SessionDialog onClose={() => setListOpen(false)} /> : null}
      <SignIn />
    </div>
  )
}

/** For who reaches the page by keyboard. It is no link to a part: that would be another address in the history. */
function SkipLink() {
  return (
    <button type='button' className='skip' onClick={() => document.getElementById(MESSAGE_BOX)?.focus()}>
      Skip to the message box
    </button>
  )
}

function Notices() {
  const { entrance, state } = useEntrance()
  return (
    <div className='bars'>
      <TokenNotice />
      {state.notice === undefined ? null : (
        <div className='bar'>
          <span role='alert'>The invitation was not taken: {state.notice}</span>
          <button type='button' className='link' onClick={() => entrance.dismiss()}>
            Close
          </button>
        </div>
      )}
    </div>
  )
}

function SignIn() {
  const keptOut = useKeptOut()
  const [away, setAway] = useState(false)
  if (!keptOut || away) return null
  return <SignInDialog onClose={() => setAway(true)} />
}

function Talk() {
  const chat = useChat()
  const { session } = useRoom()
  const title = useView((view) => view.title)
  const first = useView((view) => view.messages[0]?.text)
  const time = useView((view) => view.messages.at(-1)?.time)
  const error = useView((view) => view.error)
  const { recent, directory } = chat
  useEffect(() => {
    document.title = title === undefined ? 'Parley' : `${title} · Parley`
  }, [title])
  useEffect(() => {
    if (first === undefined || time === undefined) return
    recent.note({ id: session.id, title: title ?? first, time })
    directory.refreshSoon()
  }, [recent, directory, session, title, first, time])
  useEffect(() => {
    if (title !== undefined) directory.know(session.id, title)
  }, [directory, session, title])
  useEffect(() => {
    if (error === undefined || !isShut(error)) return
    recent.forget(session.id)
    directory.knowShut(session.id)
  }, [recent, directory, session, error])
  if (error !== undefined && isShut(error)) return <ShutSession error={error} />
  return (
    <>
      <Conversation />
      <Composer />
      <Announcer />
    </>
  )
}
