// A chat with Parley's hooks. A token renders the answer that grows, and nothing else.
import { ParleyClient, type Session, type TurnView } from '@parley/client'
import { useActiveRun, useConnection, useMessages, useRun, useSession } from '@parley/react'
import { memo, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

const client = new ParleyClient({ url: 'http://127.0.0.1:8080' })
// The address keeps the session's id for a reload.
const id = location.hash.slice(1) || `chat-${crypto.randomUUID()}`
location.hash = id

function Chat() {
  const session = useSession(client, id)
  const turns = useMessages(session)
  const active = useActiveRun(session)
  const status = useConnection(client, (state) => state.status)
  return (
    <main>
      {turns.map((turn) => (
        <Turn key={turn.message.id} session={session} turn={turn} />
      ))}
      <form action={(form) => void session?.send(String(form.get('text')))}>
        <input name='text' aria-label='Message' required />
        <button type='submit'>Send</button>
        {active !== undefined && (
          <button type='button' onClick={() => void session?.cancel()}>
            Stop
          </button>
        )}
      </form>
      <small>{status}</small>
    </main>
  )
}

const Turn = memo(({ session, turn }: { session: Session | undefined; turn: TurnView }) => {
  const run = useRun(session, turn)
  return (
    <>
      <p data-role='user'>{turn.message.text}</p>
      <p data-role='assistant'>{run?.text}</p>
      {run?.error !== undefined && <p role='alert'>{run.error.message}</p>}
    </>
  )
})

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <Chat />
  </StrictMode>,
)
