// A chat with `useChat` of the AI SDK. An answer continues after a reload, and in every tab with the same address.
import { useChat } from '@ai-sdk/react'
import { ParleyChatTransport } from '@parley/ai-sdk'
import { ParleyClient } from '@parley/client'
import type { UIMessage } from 'ai'
import { StrictMode, useEffect } from 'react'
import { createRoot } from 'react-dom/client'

const client = new ParleyClient({ url: 'http://127.0.0.1:8080' })
const transport = new ParleyChatTransport({ client })
// The chat's id is the session's. The address keeps it for a reload.
const id = location.hash.slice(1) || `chat-${crypto.randomUUID()}`
location.hash = id

function Chat() {
  const chat = useChat({ id, transport })
  // Loads the conversation, resumes its answer, and shows what others send. It restarts after each change of the status.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the chat is another object in each render.
  useEffect(() => transport.follow(chat), [chat.id, chat.status])
  const isBusy = chat.status !== 'ready' && chat.status !== 'error'
  return (
    <main>
      {chat.messages.map((message) => (
        <p key={message.id} data-role={message.role}>
          {textOf(message)}
        </p>
      ))}
      {chat.error !== undefined && <p role='alert'>{chat.error.message}</p>}
      <form action={(form) => void chat.sendMessage({ text: String(form.get('text')) })}>
        <input name='text' aria-label='Message' required />
        <button type='submit'>Send</button>
        {isBusy && (
          <button type='button' onClick={() => void chat.stop()}>
            Stop
          </button>
        )}
      </form>
    </main>
  )
}

function textOf({ parts }: UIMessage): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <Chat />
  </StrictMode>,
)
