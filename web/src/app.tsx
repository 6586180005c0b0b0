// App: the page's landmarks. All that belongs to one session is made anew when the session changes.
import { useEffect } from 'react'
import { Announcer } from './announcer.tsx'
import { Composer } from './composer.tsx'
import { Conversation } from './conversation.tsx'
import { PageHeader } from './page-header.tsx'
import { useRoom, useView } from './use-chat.ts'
import { useSender } from './use-sender.ts'

export function App() {
  const { session } = useRoom()
  return (
    <div className='page'>
      <PageHeader />
      <Talk key={session.id} />
    </div>
  )
}

function Talk() {
  const sender = useSender()
  const title = useView((view) => view.title)
  useEffect(() => {
    document.title = title === undefined ? 'Parley' : `${title} · Parley`
  }, [title])
  return (
    <>
      <Conversation unsent={sender.unsent} onRetry={sender.retry} onDismiss={sender.dismiss} sends={sender.sends} />
      <Composer onSend={sender.send} />
      <Announcer />
    </>
  )
}
