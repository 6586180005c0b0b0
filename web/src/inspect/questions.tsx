// Questions: what the inspector shows while there is nothing to inspect: which session, whose token, and why not.
import { type FormEvent, type ReactNode, useId } from 'react'
import type { Refusal } from './refusal.ts'
import { useInspection } from './use-inspection.ts'

/** The page is asked for again with the session in its address. */
export function AskForSession() {
  const field = useId()
  return (
    <Question title='Which session?'>
      <form method='get' action='/inspect' onSubmit={goThere}>
        <label htmlFor={field}>The session’s id</label>
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
    </Question>
  )
}

export function AskForToken({ refusal }: { readonly refusal: Refusal | undefined }) {
  const inspection = useInspection()
  const field = useId()
  const give = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const token = new FormData(event.currentTarget).get('token')
    if (typeof token === 'string' && token.trim() !== '') inspection.again(token.trim())
  }
  return (
    <Question title='Who are you?'>
      <p>This server asks for a token. It is kept in this tab, and sent to this server alone.</p>
      {refusal === undefined ? null : <p className='bad'>{refusal.message}</p>}
      <form onSubmit={give}>
        <label htmlFor={field}>Token</label>
        <input id={field} name='token' type='password' required autoComplete='off' />
        <button type='submit' className='button primary'>
          Go on
        </button>
      </form>
    </Question>
  )
}

export function Refused({ refusal }: { readonly refusal: Refusal | undefined }) {
  const { session } = useInspection()
  return (
    <Question title={titleOf(refusal?.code)}>
      {refusal?.code === 'forbidden' ? <p>A session’s log is shown to its owners alone.</p> : null}
      <p>
        {refusal?.message ?? 'The server refused.'} <span className='code'>{refusal?.code}</span>
      </p>
      <p>
        <a href={`/?session=${session}`}>Go to the conversation</a>
      </p>
    </Question>
  )
}

function titleOf(code: string | undefined): string {
  if (code === 'forbidden') return 'Only for owners'
  if (code === 'session_not_found') return 'There is no such session'
  return code === 'session_deleted' ? 'This session was deleted' : 'It cannot be shown'
}

function Question({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <main className='question'>
      <h1>{title}</h1>
      {children}
    </main>
  )
}

/** By the page itself: what pages may submit to is shut by the policy of its content. */
function goThere(event: FormEvent<HTMLFormElement>): void {
  event.preventDefault()
  const session = new FormData(event.currentTarget).get('session')
  if (typeof session === 'string') window.location.assign(`/inspect?session=${encodeURIComponent(session)}`)
}
