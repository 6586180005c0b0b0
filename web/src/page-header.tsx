// PageHeader: which session this is, how the connection stands, and the ways out: its link, and a new one.
import { useState } from 'react'
import { ConnectionBadge } from './connection-badge.tsx'
import { Icon } from './icon.tsx'
import { useChat, useRoom, useView } from './use-chat.ts'

interface Props {
  /** Shows the sessions of this browser, where they are not beside the conversation. */
  readonly onList: () => void
}

export function PageHeader({ onList }: Props) {
  const chat = useChat()
  const title = useView((view) => view.title)
  return (
    <header className='page-header'>
      <h1>
        <span className='brand'>Parley</span>
        {title === undefined ? null : <span className='title'>{title}</span>}
      </h1>
      <ConnectionBadge />
      <nav className='page-actions' aria-label='Session'>
        <button type='button' className='button to-sessions' aria-haspopup='dialog' onClick={onList}>
          <Icon name='list' /> <span className='wide'>Sessions</span>
        </button>
        <CopyLink />
        <button type='button' className='button' onClick={() => chat.begin()}>
          <Icon name='plus' /> <span className='wide'>New chat</span>
        </button>
      </nav>
    </header>
  )
}

const SHOWN_MS = 2_000

function CopyLink() {
  const { address } = useRoom()
  const [copied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(address)
    } catch {
      // Without a secure connection, or without leave, there is no clipboard: show the link, to be copied by hand.
      window.prompt('The link of this session:', address)
      return
    }
    setCopied(true)
    setTimeout(() => setCopied(false), SHOWN_MS)
  }
  return (
    <button type='button' className='button' onClick={() => void copy()}>
      <Icon name={copied ? 'check' : 'link'} />{' '}
      <span className='wide' aria-live='polite'>
        {copied ? 'Copied' : 'Copy link'}
      </span>
    </button>
  )
}
