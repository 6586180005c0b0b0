// ConnectionBadge: says how the connection stands. A screen reader is told of each change once, and not of seconds.
import { badgeOf, isSignedOut } from './badge.ts'
import { useConnection, useView } from './use-chat.ts'
import { useNow } from './use-now.ts'

export function ConnectionBadge() {
  const connection = useConnection((state) => state)
  const status = useView((view) => view.status)
  const error = useView((view) => view.error)
  const now = useNow(connection.status === 'waiting')
  const badge = badgeOf(connection, { status, error }, now)
  return (
    <div className={`badge ${badge.tone}`}>
      <span className='badge-dot' aria-hidden='true' />
      <span role='status' aria-live='polite' aria-atomic='true'>
        {badge.text}
        {badge.reason === undefined ? null : <span className='badge-reason'> {badge.reason}</span>}
      </span>
      {badge.detail === undefined ? null : (
        <span className='badge-detail' aria-hidden='true' title={badge.hint}>
          {badge.detail}
        </span>
      )}
      {badge.tone === 'ended' ? (
        <button type='button' className='link' onClick={() => window.location.reload()}>
          {isSignedOut(connection) ? 'Sign in' : 'Try again'}
        </button>
      ) : null}
    </div>
  )
}
