// App: the page's landmarks. All that belongs to one session is made anew when the session changes.
import { useEffect, useState } from 'react'
import { Announcer } from './announcer.tsx'
import { Composer, MESSAGE_BOX } from './composer.tsx'
import { Conversation } from './conversation.tsx'
import { PageHeader } from './page-header.tsx'
import { SessionAside, SessionDialog } from './session-list.tsx'
import { useChat, useRoom, useView } from './use-chat.ts'

export function App() {
  const { session } = useRoom()
  const [listOpen, setListOpen] = useState(false)
  return (
    <div className='page'>
      <SkipLink />
      <PageHeader onList={() => setListOpen(true)} />
      <SessionAside />
      <Talk key={session.id} />
      {listOpen ? <SessionDialog onClose={() => setListOpen(false)} /> : null}
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

function Talk() {
  const { recent } = useChat()
  const { session } = useRoom()
  const title = useView((view) => view.title)
  const first = useView((view) => view.messages[0]?.text)
  const time = useView((view) => view.messages.at(-1)?.time)
  useEffect(() => {
    document.title = title === undefined ? 'Parley' : `${title} · Parley`
  }, [title])
  useEffect(() => {
    if (first !== undefined && time !== undefined) recent.note({ id: session.id, title: title ?? first, time })
  }, [recent, session, title, first, time])
  return (
    <>
      <Conversation />
      <Composer />
      <Announcer />
    </>
  )
}
