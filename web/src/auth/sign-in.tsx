// Signing in: a token is pasted. The page has no accounts of its own: whoever runs the server hands tokens out.
import { type SubmitEvent, useEffect, useState } from 'react'
import { isSignedOut } from '../connection/badge.ts'
import { useConnection } from '../connection/use-chat.ts'
import { ANONYMOUS } from '../people/names.ts'
import { Dialog } from '../shared/dialog.tsx'
import { useNow } from '../shared/use-now.ts'
import { useEntrance } from './use-auth.ts'

export function SignInForm({ onDone }: { readonly onDone?: () => void }) {
  const { entrance } = useEntrance()
  const [token, setToken] = useState('')
  const given = token.trim()
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    if (given === '') return
    onDone?.()
    entrance.signIn(given)
  }
  return (
    <form className='sign-in' onSubmit={submit}>
      <label>
        Token
        <input
          type='password'
          data-first
          value={token}
          autoComplete='off'
          spellCheck={false}
          onChange={({ target }) => setToken(target.value)}
        />
      </label>
      <p className='aside'>
        Whoever runs this server gives it to you. It stays in this tab until you close it or sign out.
      </p>
      <button type='submit' className='button primary' disabled={given === ''}>
        Sign in
      </button>
    </form>
  )
}

/** Whether nobody can come in without a token. Who was in already is asked by a line: what they type goes where they type it. */
export function useKeptOut(): boolean {
  return useConnection((state) => isSignedOut(state) && state.opens === 0)
}

/** Who closes it finds the way back in the badge. */
export function SignInDialog({ onClose }: { readonly onClose: () => void }) {
  const { entrance } = useEntrance()
  const had = entrance.pass.token !== undefined
  return (
    <Dialog title={had ? 'Sign in again' : 'Sign in'} onClose={onClose}>
      {(close) => (
        <>
          <p>{had ? 'Your token is not taken, or not any more.' : 'This server wants to know who you are.'}</p>
          <SignInForm onDone={close} />
        </>
      )}
    </Dialog>
  )
}

/** Milliseconds before its end at which a token's end is told. */
const WARN_MS = 60_000

/** A line over the page while the token's time is nearly over, and when it is: with a fresh one all goes on. */
export function TokenNotice() {
  const isOver = useConnection((state) => isSignedOut(state) && state.opens > 0)
  return isOver ? <TokenOver /> : <TokenEnding />
}

function TokenOver() {
  const { entrance } = useEntrance()
  const [asks, setAsks] = useState(false)
  const { until } = entrance.pass
  const said = until !== undefined && until > Date.now() ? 'Your token is not taken.' : 'Your sign-in is over.'
  return (
    <div className='bar'>
      <span role='alert'>{said} What you write stays here, and goes out when you have signed in.</span>
      <button type='button' className='link' onClick={() => setAsks(true)}>
        Sign in again
      </button>
      {asks ? <SignInDialog onClose={() => setAsks(false)} /> : null}
    </div>
  )
}

function TokenEnding() {
  const { entrance } = useEntrance()
  const [due, setDue] = useState(false)
  const [asks, setAsks] = useState(false)
  const { until } = entrance.pass
  const open = useConnection((state) => state.status === 'open')
  useEffect(() => {
    const left = until === undefined ? undefined : until - WARN_MS - Date.now()
    setDue(left !== undefined && left <= 0)
    // A timer for longer would fire at once.
    if (left === undefined || left <= 0 || left > 2 ** 31 - 1) return undefined
    const timer = setTimeout(() => setDue(true), left)
    return () => clearTimeout(timer)
  }, [until])
  const shown = due && open && until !== undefined
  const now = useNow(shown)
  if (!shown) return null
  const seconds = Math.max(0, Math.ceil((until - now) / 1_000))
  return (
    <div className='bar'>
      <span role='status'>Your sign-in is nearly over.</span>
      <span aria-hidden='true'>{seconds} s left</span>
      <button type='button' className='link' onClick={() => setAsks(true)}>
        Give a fresh token
      </button>
      {asks ? <SignInDialog onClose={() => setAsks(false)} /> : null}
    </div>
  )
}

/** Who the page speaks for. */
export function Account() {
  const { entrance } = useEntrance()
  const user = useConnection((state) => state.user)
  const name = useConnection((state) => state.name)
  if (user === undefined || user === ANONYMOUS) return null
  return (
    <p className='account'>
      <span>
        Signed in as <strong>{name ?? user}</strong>
      </span>
      <button type='button' className='link' onClick={() => entrance.signOut()}>
        Sign out
      </button>
    </p>
  )
}
