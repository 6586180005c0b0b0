// ShutSession: what stands in the place of a session that this person may not see, or that is no more. What they saw of
// it goes from the page.
import type { ParleyError } from '@parley/client'
import { useChat, useRoom, useView } from './use-chat.ts'

const SHUT: ReadonlySet<string> = new Set(['forbidden', 'session_deleted', 'session_not_found'])

export function isShut(error: ParleyError): boolean {
  return SHUT.has(error.code)
}

export function ShutSession({ error }: { readonly error: ParleyError }) {
  const chat = useChat()
  const { formerly } = useRoom()
  const role = useView((view) => view.role)
  const { title, text } = wordsOf(error, formerly !== undefined || role !== undefined)
  return (
    <main className='conversation shut'>
      <div role='alert'>
        <h2>{title}</h2>
        <p>{text}</p>
      </div>
      <button type='button' className='button primary' onClick={() => chat.begin()}>
        Begin a new chat
      </button>
    </main>
  )
}

function wordsOf(error: ParleyError, wasMember: boolean): { readonly title: string; readonly text: string } {
  if (error.code !== 'forbidden') return { title: 'This session is gone', text: 'It was deleted, for everybody.' }
  return wasMember
    ? { title: 'You are no member any more', text: 'Somebody removed you from this session, or you left it.' }
    : { title: 'This session is not open to you', text: 'Ask one of its owners for an invitation.' }
}
