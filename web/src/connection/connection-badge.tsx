// ConnectionBadge: shows the connection's state. Screen readers announce each change once, and no countdown.
import { useState } from 'react'
import { SignInDialog } from '../auth/sign-in.tsx'
import { Dialog } from '../shared/dialog.tsx'
import { Icon } from '../shared/icon.tsx'
import { useNow } from '../shared/use-now.ts'
import { badgeOf, connectionFacts, isSignedOut } from './badge.ts'
import { useConnection, useRoom, useView } from './use-chat.ts'

export function ConnectionBadge() {
  const connection = useConnection((state) => state)
  const status = useView((view) => view.status)
  const error = useView((view) => view.error)
  const now = useNow(connection.status === 'waiting')
  const [showsDetails, setShowsDetails] = useState(false)
  const [signingIn, setSigningIn] = useState(false)
  const signedOut = isSignedOut(connection)
  const badge = badgeOf(connection, { status, error }, now)
  return (
    <>
      <div className={`badge ${badge.tone}`}>
        <span className='badge-dot' aria-hidden='true' />
        <span role='status' aria-live='polite' aria-atomic='true'>
          {badge.text}
          {badge.reason === undefined ? null : <span className='badge-reason'> {badge.reason}</span>}
        </span>
        {badge.tone === 'live' ? (
          <button
            type='button'
            className='badge-detail'
            aria-haspopup='dialog'
            aria-label={`Connection: ${badge.detail ?? 'details'}`}
            onClick={() => setShowsDetails(true)}
          >
            {badge.detail === undefined ? null : <span className='wide'>{badge.detail}</span>} <Icon name='info' />
          </button>
        ) : badge.detail === undefined ? null : (
          <span className='badge-detail' aria-hidden='true'>
            {badge.detail}
          </span>
        )}
        {badge.tone === 'ended' ? (
          <button
            type='button'
            className='link'
            onClick={() => (signedOut ? setSigningIn(true) : window.location.reload())}
          >
            {signedOut ? 'Sign in' : 'Try again'}
          </button>
        ) : null}
      </div>
      {signingIn ? <SignInDialog onClose={() => setSigningIn(false)} /> : null}
      {showsDetails ? <ConnectionDialog onClose={() => setShowsDetails(false)} /> : null}
    </>
  )
}

function ConnectionDialog({ onClose }: { readonly onClose: () => void }) {
  const connection = useConnection((state) => state)
  const role = useView((view) => view.role)
  const { session } = useRoom()
  const now = useNow(true)
  return (
    <Dialog title='Connection' className='connection' onClose={onClose}>
      {() => (
        <>
          <dl className='facts'>
            {connectionFacts(connection, now).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          {role === 'owner' ? (
            <a className='link' href={`/inspect?session=${session.id}`}>
              Inspect session
            </a>
          ) : null}
        </>
      )}
    </Dialog>
  )
}
