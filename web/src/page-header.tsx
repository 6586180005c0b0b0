// PageHeader: the chat's title, the connection's state, the people online, and the buttons for other chats, sharing and
// a new chat.
import { useState } from 'react'
import { ConnectionBadge } from './connection/connection-badge.tsx'
import { useChat, useView } from './connection/use-chat.ts'
import { PresenceBar } from './people/presence-bar.tsx'
import { ShareDialog } from './people/share-dialog.tsx'
import { Icon } from './shared/icon.tsx'

interface Props {
  /** Opens the list of chats on screens without a sidebar. */
  readonly onList: () => void
}

export function PageHeader({ onList }: Props) {
  const chat = useChat()
  const title = useView((view) => view.title)
  const unavailable = useView((view) => view.error !== undefined)
  const [sharing, setSharing] = useState(false)
  return (
    <header className='page-header'>
      <h1>
        <span className='brand'>Parley</span>
        {title === undefined ? null : (
          <span className='title' dir='auto'>
            {title}
          </span>
        )}
      </h1>
      <ConnectionBadge />
      <PresenceBar />
      <nav className='page-actions' aria-label='Chat'>
        <button type='button' className='button to-sessions' aria-haspopup='dialog' onClick={onList}>
          <Icon name='list' /> <span className='wide'>Chats</span>
        </button>
        <button
          type='button'
          className='button'
          aria-haspopup='dialog'
          disabled={unavailable}
          onClick={() => setSharing(true)}
        >
          <Icon name='people' /> <span className='wide'>Share</span>
        </button>
        <button type='button' className='button' onClick={() => chat.startNew()}>
          <Icon name='plus' /> <span className='wide'>New chat</span>
        </button>
      </nav>
      {sharing ? <ShareDialog onClose={() => setSharing(false)} /> : null}
    </header>
  )
}
