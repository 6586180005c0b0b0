// The hooks render on a server, which opens no session and no connection.
import { ParleyClient } from '@parley/client'
import { createElement as h } from 'react'
import { renderToString } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
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
} from './index.ts'

const client = new ParleyClient({ url: 'http://127.0.0.1:1' })

function App() {
  const session = useSession(client, 'trip')
  useTool(session, { name: 'here', execute: () => 'there' })
  const parts = [
    String(session),
    useConnection(client).status,
    useConnection(client, ({ opens }) => opens),
    useSessionState(session, ({ status }) => status),
    useMessages(session).length,
    usePresence(session).count,
    String(useRun(session, 'run')),
    String(useActiveRun(session)),
    String(useCall(session, 'call')),
  ]
  return h('p', null, parts.join(' '))
}

describe('the hooks on a server', () => {
  it('render an empty session, and connect to nothing', () => {
    const html = '<p>undefined idle 0 attaching 0 0 undefined undefined undefined</p>'
    expect(renderToString(h(App))).toBe(html)
    expect(client.state.status).toBe('idle')
  })

  it('render the same as a browser does first, even if its client is connecting already', () => {
    client.connect()
    expect(renderToString(h(App))).toContain('undefined idle 0')
    return client.close()
  })
})
