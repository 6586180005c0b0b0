// A React app in StrictMode that uses the SDK as people write it first. It is bundled and loaded into a browser by
// bundled-page.ts.
import { ParleyClient, type Session } from '@parley/client'
import { createElement as h, StrictMode, useEffect, useState, useSyncExternalStore } from 'react'
import { createRoot } from 'react-dom/client'

const client = new ParleyClient({ url: location.origin })

function App() {
  const [round, setRound] = useState(0)
  return h('main', null, [
    h('button', { key: 'again', type: 'button', onClick: () => setRound(round + 1) }, 'Mount again'),
    // A new key unmounts the chat, which closes its session, and mounts another one with the same session.
    h(Chat, { key: round, id: 'strict' }),
  ])
}

function Chat({ id }: { readonly id: string }) {
  const [session, setSession] = useState<Session>()
  useEffect(() => {
    const opened = client.session(id)
    opened.show({ device: 'computer' })
    setSession(opened)
    return () => void opened.close()
  }, [id])
  return session === undefined ? null : h(OpenChat, { session })
}

function OpenChat({ session }: { readonly session: Session }) {
  const view = useSyncExternalStore(session.subscribe, session.getSnapshot)
  const connection = useSyncExternalStore(client.subscribe, client.getSnapshot)
  const presence = useSyncExternalStore(session.presence.subscribe, session.presence.getSnapshot)
  const { send } = session
  return h('section', null, [
    h('output', { key: 'status' }, `${connection.status} ${view.status} ${presence.count}`),
    h('button', { key: 'send', type: 'button', onClick: () => send('/demo count=5 rate=0') }, 'Send'),
    h(
      'ol',
      { key: 'turns' },
      view.turns.map((turn) => h('li', { key: turn.after }, `${turn.run?.status}: ${turn.run?.text}`)),
    ),
  ])
}

createRoot(document.body.appendChild(document.createElement('div'))).render(h(StrictMode, null, h(App)))
