// PageHeader: which session this is, how the connection stands, who is here, and the ways out: other sessions, sharing
// this one, and a new one.
import { useState } from 'react'
import { ConnectionBadge } from './connection/connection-badge.tsx'
import { useChat, useView } from './connection/use-chat.ts'
import { PresenceBar } from './people/presence-bar.tsx'
import { ShareDialog } from './people/share-dialog.tsx'
import { Icon } from './shared/icon.tsx'

interface Props {
  /** Shows the sessions, where they are not beside the conversation. */
  readonly onList: () => void
}

export function PageHeader({ onList }: Props) {
  const chat = useChat()
  const title = useView((view) => view.title)
  const shut = useView((view) => view.error !== undefined)
  const [sharing, setSharing] = useState(false)
  return (
    <header className='page-header'>
      <h1>
        <span className='brand'>Parley</span>
        {title === undefined ? null : <span className='title'>{title}</span>}
      </h1>
      <ConnectionBadge />
      <PresenceBar />
      <nav className='page-actions' aria-label='Session'>
        <button type='button' className='button to-sessions' aria-haspopup='dialog' onClick={onList}>
          <Icon name='list' /> <span className='wide'>Sessions</span>
        </button>
        <button
          type='button'
          className='button'
          aria-haspopup='dialog'
          disabled={shut}
          onClick={() => setSharing(true)}
        >
          <Icon name='people' /> <span className='wide'>Share</span>
        </button>
        <button type='button' className='button' onClick={() => chat.begin()}>
          <Icon name='plus' /> <span className='wide'>New chat</span>
        </button>
      </nav>
      {sharing ? <ShareDialog onClose={() => setSharing(false)} /> : null}
    </header>
  )
}
