// ShutSession: what stands in the place of a session that this person may not see, or that is no more. What they saw of
// it goes from the page.
import type { ParleyError } from '@parley/client'
import { useChat, useRoom, useView } from '../connection/use-chat.ts'
import { shutNote } from './access-note.ts'

export function ShutSession({ error }: { readonly error: ParleyError }) {
  const chat = useChat()
  const { formerly } = useRoom()
  const role = useView((view) => view.role)
  const { title, text } = shutNote(error, formerly !== undefined || role !== undefined)
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
