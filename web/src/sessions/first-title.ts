// FirstTitle: a session that nobody has named gets the first words that were said in it, so that its people find it in
// their lists on any device. The page that said them does it, once.
import type { Session } from '@parley/client'
import { mayDo } from '../people/roles.ts'
import { titleOf } from './recent-sessions.ts'

export type NamedSession = Pick<Session, 'id' | 'state' | 'subscribe'>

/**
 * @param isOwn whether a message was sent from this page
 * @returns a function that ends it
 */
export function nameByFirstWords(
  session: NamedSession,
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
      // It has none, then: its people may still give it one.
    })
  })
  return stop
}
