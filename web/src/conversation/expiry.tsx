// Expiry: how long a person may still decide or answer.
import { useChat } from '../connection/use-chat.ts'
import { useNow } from '../shared/use-now.ts'
import { expiryNote } from './call-note.ts'

/** A countdown, and for screen readers the fixed time, which they do not announce again every second. */
export function Expiry({ until }: { readonly until: number }) {
  const now = useNow(true, useChat().client)
  const at = new Date(until)
  return (
    <span className='expiry'>
      <span aria-hidden='true'>{expiryNote(until, now)}</span>
      <time className='unseen' dateTime={at.toISOString()}>
        Expires at {at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })}
      </time>
    </span>
  )
}
