// A chat with assistant-ui. Its external store is the session, and its queue lanes are the policies `queue` and `steer`.
import * as ui from '@assistant-ui/react'
import { ParleyClient } from '@parley/client'
import { useSession, useSessionState } from '@parley/react'
import { createRoot } from 'react-dom/client'

const client = new ParleyClient({ url: 'http://127.0.0.1:8080' })
const id = location.hash.slice(1) || 'assistant'

function useParleyRuntime() {
  const session = useSession(client, id)
  const turns = useSessionState(session, (view) => view.turns) ?? []
  const isRunning = useSessionState(session, (view) => view.activeRun !== undefined) ?? false
  const isWaiting = (turn: (typeof turns)[number]) => isRunning && turn.run?.status === 'queued'
  const shown = turns.filter((turn) => !isWaiting(turn))
  const messages = shown.flatMap(({ message, run }): ui.ThreadMessageLike[] => {
    const asked = { role: 'user' as const, id: message.id, content: message.text }
    return run === undefined ? [asked] : [asked, { role: 'assistant', id: run.id, content: run.text }]
  })
  const queued = turns.filter(isWaiting).map(({ message, run }) => ({ id: run?.id ?? '', prompt: message.text }))
  const promptOf = (run: string) => queued.find(({ id }) => id === run)?.prompt ?? ''
  const textOf = ({ content }: ui.AppendMessage) => content.map((part) => ('text' in part ? part.text : '')).join('')
  const send = (policy: 'queue' | 'steer', text: string) => void session?.send(text, { policy })
  const remove = (run: string) => void session?.cancel(run)
  return ui.useExternalStoreRuntime<ui.ThreadMessageLike>({
    messages,
    convertMessage: (message) => message,
    isRunning,
    onNew: async (message) => send('queue', textOf(message)),
    onCancel: async () => session?.cancel(),
    queue: {
      items: queued,
      steerItems: [],
      enqueue: (message) => send('queue', textOf(message)),
      steer: (message) => send('steer', textOf(message)),
      edit: (run, message) => [remove(run), send('queue', textOf(message))],
      move: (run, { lane }) => lane === 'steer' && [remove(run), send('steer', promptOf(run))],
      remove,
    },
  })
}

const Message = ({ message }: { message: { role: string } }) => (
  <div data-role={message.role}>
    <ui.MessagePrimitive.Content />
  </div>
)
const Chat = () => (
  <ui.AssistantRuntimeProvider runtime={useParleyRuntime()}>
    <ui.ThreadPrimitive.Messages>{Message}</ui.ThreadPrimitive.Messages>
    <ui.ComposerPrimitive.Queue>{({ queueItem }) => <li>{queueItem.prompt}</li>}</ui.ComposerPrimitive.Queue>
    <ui.ComposerPrimitive.Root>
      <ui.ComposerPrimitive.Input aria-label='Message' />
      <ui.ComposerPrimitive.Send>Send</ui.ComposerPrimitive.Send>
      <ui.ComposerPrimitive.Cancel>Stop</ui.ComposerPrimitive.Cancel>
    </ui.ComposerPrimitive.Root>
  </ui.AssistantRuntimeProvider>
)
createRoot(document.getElementById('root') as HTMLElement).render(<Chat />)
