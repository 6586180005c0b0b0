// An app of all hooks in StrictMode, which counts how often each component is committed. hooks.process.test.ts loads it
// into a browser.
import { ParleyClient, type Session, type TurnView } from '@parley/client'
import {
  useActiveRun,
  useCall,
  useConnection,
  useMessages,
  usePresence,
  useRun,
  useSession,
  useSessionState,
  useTool,
} from '@parley/react'
import { createElement as h, memo, StrictMode, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'

const client = new ParleyClient({ url: location.origin })
const commits: Record<string, number> = {}
Object.assign(window, { app: { client, commits } })

function useCount(name: string): void {
  useEffect(() => {
    commits[name] = (commits[name] ?? 0) + 1
  })
}

function App() {
  const id = new URLSearchParams(location.search).get('session') ?? 'hooks'
  const [shown, setShown] = useState({ key: 0, panel: true })
  const status = useConnection(client, (state) => state.status)
  return h(
    'main',
    null,
    h('button', { type: 'button', onClick: () => setShown({ ...shown, key: shown.key + 1 }) }, 'Mount again'),
    h('button', { type: 'button', onClick: () => setShown({ ...shown, panel: !shown.panel }) }, 'Panel'),
    h('output', { id: 'connection' }, status),
    h(Chat, { key: shown.key, id }),
    shown.panel ? h(Panel, { id }) : null,
  )
}

/** Uses the same session as Chat. */
function Panel({ id }: { readonly id: string }) {
  const session = useSession(client, id)
  const { count } = usePresence(session)
  const [color, setColor] = useState('white')
  const [clicks, setClicks] = useState(0)
  // Another function in each render, which must not declare the tool again.
  useTool(session, {
    name: 'set_color',
    inputSchema: { type: 'object', properties: { color: { type: 'string' } } },
    execute: ({ color: next }: { color: string }) => {
      setColor(next)
      return { before: color, clicks }
    },
  })
  const more = h('button', { type: 'button', onClick: () => setClicks(clicks + 1) }, 'Click')
  return h('aside', null, h('output', { id: 'color' }, color), h('output', { id: 'present' }, count), more)
}

function Chat({ id }: { readonly id: string }) {
  useCount('list')
  const session = useSession(client, id)
  const turns = useMessages(session)
  const status = useSessionState(session, (view) => view.status)
  const isBusy = useSessionState(session, (view) => view.activeRun !== undefined)
  return h(
    'section',
    null,
    h('output', { id: 'status' }, status),
    h('output', { id: 'busy' }, String(isBusy)),
    h(Active, { session }),
    h('ol', null, session && turns.map((turn) => h(Turn, { key: turn.message.id, session, turn }))),
  )
}

/** Renders with each token of any answer. */
function Active({ session }: { readonly session: Session | undefined }) {
  return h('output', { id: 'active' }, useActiveRun(session)?.status ?? 'none')
}

const Turn = memo(function Turn({ session, turn }: { readonly session: Session; readonly turn: TurnView }) {
  useCount(turn.message.text)
  const run = useRun(session, turn)
  const calls = (run?.parts ?? []).flatMap((part) => (part.type === 'tool' ? [part.call] : []))
  return h(
    'li',
    { 'data-status': run?.status },
    h('span', { className: 'text' }, run?.text),
    calls.map((call) => h(Call, { key: call, session, id: call })),
  )
})

function Call({ session, id }: { readonly session: Session; readonly id: string }) {
  const call = useCall(session, id)
  return h('code', null, JSON.stringify(call?.output))
}

createRoot(document.body.appendChild(document.createElement('div'))).render(h(StrictMode, null, h(App)))
