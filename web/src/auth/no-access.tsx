// NoAccess: replaces the conversation if the user has no access to the chat, or if the chat was deleted.
import type { ParleyError } from '@parley/client'
import { useChat, useRoom, useView } from '../connection/use-chat.ts'
import { accessNote } from './access-note.ts'

export function NoAccess({ error }: { readonly error: ParleyError }) {
  const chat = useChat()
  const { formerRole } = useRoom()
  const role = useView((view) => view.role)
  const { title, text } = accessNote(error, formerRole !== undefined || role !== undefined)
  return (
    <main className='conversation no-access'>
      <div role='alert'>
        <h2>{title}</h2>
        <p>{text}</p>
      </div>
      <button type='button' className='button primary' onClick={() => chat.startNew()}>
        Start a new chat
      </button>
    </main>
  )
}
