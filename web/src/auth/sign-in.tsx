// Sign-in: the user pastes an access token. The page has no accounts of its own: the administrator issues the tokens.
import { type SubmitEvent, useEffect, useState } from 'react'
import { isSignedOut } from '../connection/badge.ts'
import { useChat, useConnection } from '../connection/use-chat.ts'
import { ANONYMOUS } from '../people/names.ts'
import { Dialog } from '../shared/dialog.tsx'
import { useNow } from '../shared/use-now.ts'
import { useAuth } from './use-auth.ts'

export function SignInForm({ onDone }: { readonly onDone?: () => void }) {
  const { auth } = useAuth()
  const [input, setInput] = useState('')
  const token = input.trim()
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    if (token === '') return
    onDone?.()
    auth.signIn(token)
  }
  return (
    <form className='sign-in' onSubmit={submit}>
      <label>
        Access token
        <input
          type='password'
          data-first
          value={input}
          autoComplete='off'
          spellCheck={false}
          onChange={({ target }) => setInput(target.value)}
        />
      </label>
      <p className='aside'>
        Ask your administrator for a token. This tab keeps it until you close the tab or sign out.
      </p>
      <button type='submit' className='button primary' disabled={token === ''}>
        Sign in
      </button>
    </form>
  )
}

/** Only before the first connection. Later an expired token shows a notice: a dialog would interrupt the typing. */
export function useSignInRequired(): boolean {
  return useConnection((state) => isSignedOut(state) && state.opens === 0)
}

/** The connection badge can open the dialog again. */
export function SignInDialog({ onClose }: { readonly onClose: () => void }) {
  const { auth } = useAuth()
  const hasToken = auth.token.value !== undefined
  return (
    <Dialog title={hasToken ? 'Sign in again' : 'Sign in'} onClose={onClose}>
      {(close) => (
        <>
          <p>{hasToken ? 'This token is invalid or has expired.' : 'Sign in to continue.'}</p>
          <SignInForm onDone={close} />
        </>
      )}
    </Dialog>
  )
}

/** The warning appears this many milliseconds before the token expires. */
const WARN_MS = 60_000

/** A bar above the conversation shortly before the token expires, and after it has expired. */
export function TokenNotice() {
  const expired = useConnection((state) => isSignedOut(state) && state.opens > 0)
  return expired ? <TokenExpired /> : <TokenExpiring />
}

function TokenExpired() {
  const { auth } = useAuth()
  const { client } = useChat()
  const [signingIn, setSigningIn] = useState(false)
  const { expiresAt } = auth.token
  const reason =
    expiresAt !== undefined && expiresAt > client.now() ? 'This token is invalid.' : 'Your session has expired.'
  return (
    <div className='bar'>
      <span role='alert'>{reason} Your messages are kept and sent after you sign in.</span>
      <button type='button' className='link' onClick={() => setSigningIn(true)}>
        Sign in again
      </button>
      {signingIn ? <SignInDialog onClose={() => setSigningIn(false)} /> : null}
    </div>
  )
}

function TokenExpiring() {
  const { auth } = useAuth()
  const { client } = useChat()
  const [due, setDue] = useState(false)
  const [signingIn, setSigningIn] = useState(false)
  const { expiresAt } = auth.token
  const open = useConnection((state) => state.status === 'open')
  useEffect(() => {
    // Only a connection tells the server's time.
    const wait = open && expiresAt !== undefined ? expiresAt - WARN_MS - client.now() : undefined
    setDue(wait !== undefined && wait <= 0)
    // A longer timeout would overflow and fire at once.
    if (wait === undefined || wait <= 0 || wait > 2 ** 31 - 1) return undefined
    const timer = setTimeout(() => setDue(true), wait)
    return () => clearTimeout(timer)
  }, [expiresAt, client, open])
  const visible = due && expiresAt !== undefined
  const now = useNow(visible, client)
  if (!visible) return null
  const seconds = Math.max(0, Math.ceil((expiresAt - now) / 1_000))
  return (
    <div className='bar'>
      <span role='status'>Your session expires soon.</span>
      <span aria-hidden='true'>{seconds} s left</span>
      <button type='button' className='link' onClick={() => setSigningIn(true)}>
        Enter a new token
      </button>
      {signingIn ? <SignInDialog onClose={() => setSigningIn(false)} /> : null}
    </div>
  )
}

/** The signed-in user. */
export function Account() {
  const { auth } = useAuth()
  const user = useConnection((state) => state.user)
  const name = useConnection((state) => state.name)
  if (user === undefined || user === ANONYMOUS) return null
  return (
    <p className='account'>
      <span>
        Signed in as <strong>{name ?? user}</strong>
      </span>
      <button type='button' className='link' onClick={() => auth.signOut()}>
        Sign out
      </button>
    </p>
  )
}
