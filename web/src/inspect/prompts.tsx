// Prompts: what the inspector shows before it can show a log: a form for the session, a form for the access token, or
// why access was denied.
import type { ParleyError } from '@parley/client'
import { type FormEvent, type ReactNode, useId } from 'react'
import { useInspection } from './use-inspection.ts'

/** Loads the page again with the session in its address. */
export function SessionPrompt() {
  const field = useId()
  return (
    <Prompt title='Inspect a session'>
      <form method='get' action='/inspect' onSubmit={openSession}>
        <label htmlFor={field}>Session ID</label>
        <input
          id={field}
          name='session'
          required
          pattern='[A-Za-z0-9_\-]{1,128}'
          autoComplete='off'
          spellCheck={false}
        />
        <button type='submit' className='button primary'>
          Inspect
        </button>
      </form>
    </Prompt>
  )
}

interface ErrorProps {
  readonly error: ParleyError | undefined
}

export function TokenPrompt({ error }: ErrorProps) {
  const inspection = useInspection()
  const field = useId()
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const token = new FormData(event.currentTarget).get('token')
    if (typeof token === 'string' && token.trim() !== '') inspection.signIn(token.trim())
  }
  return (
    <Prompt title='Sign in to continue'>
      <p>Ask your administrator for a token. It is kept in this tab and sent only to this server.</p>
      {error === undefined ? null : <p className='bad'>{error.message}</p>}
      <form onSubmit={submit}>
        <label htmlFor={field}>Access token</label>
        <input id={field} name='token' type='password' required autoComplete='off' />
        <button type='submit' className='button primary'>
          Sign in
        </button>
      </form>
    </Prompt>
  )
}

export function AccessDenied({ error }: ErrorProps) {
  const { session } = useInspection()
  return (
    <Prompt title={titleOf(error?.code)}>
      {error?.code === 'forbidden' ? <p>Only owners can inspect a session.</p> : null}
      <p>
        {error?.message} <span className='code'>{error?.code}</span>
      </p>
      <p>
        <a href={`/?session=${session}`}>Open chat</a>
      </p>
    </Prompt>
  )
}

function titleOf(code: string | undefined): string {
  if (code === 'forbidden') return 'Access denied'
  if (code === 'session_not_found') return 'Session not found'
  return code === 'session_deleted' ? 'This session was deleted' : 'Something went wrong'
}

function Prompt({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <main className='prompt'>
      <h1>{title}</h1>
      {children}
    </main>
  )
}

/** Navigates by script, because the content security policy allows no form submission. */
function openSession(event: FormEvent<HTMLFormElement>): void {
  event.preventDefault()
  const session = new FormData(event.currentTarget).get('session')
  if (typeof session === 'string') window.location.assign(`/inspect?session=${encodeURIComponent(session)}`)
}
