// AutoTitle: gives a new session its first message as its title, so that its members recognize it on every device. Only
// the page that sent the first message does so, once.
import type { Session } from '@parley/client'
import { mayDo } from '../people/roles.ts'
import { titleOf } from './recent-sessions.ts'

/**
 * @param isOwn whether a message was sent from this page
 * @returns a function that stops waiting for the first message
 */
export function setTitleFromFirstMessage(
  session: Pick<Session, 'id' | 'state' | 'subscribe'>,
  isOwn: (message: string) => boolean,
  rename: (session: string, title: string) => Promise<void>,
): () => void {
  const stop = session.subscribe(() => {
    const { status, title, messages, role } = session.state
    const [first] = messages
    if (status !== 'live' || first === undefined) return
    stop()
    const isNew = messages.length === 1 && title === undefined && isOwn(first.id)
    if (!isNew || first.text.trim() === '' || !mayDo(role, 'manage')) return
    rename(session.id, titleOf(first.text)).catch(() => {
      // The session stays untitled; its owners can still rename it.
    })
  })
  return stop
}
