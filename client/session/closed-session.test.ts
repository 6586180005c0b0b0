// Tests that nothing is lost silently when a session or a client is closed, and that a closed session opens again.
import { EventEmitter, once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ParleyClient, ParleyError, type Session, tool } from '../index.ts'
import { called, message, type Peer, ScriptedServer, started } from '../test/scripted-server.ts'
import { until } from '../test/until.ts'

let server: ScriptedServer
let client: ParleyClient
let warnings: object[]

beforeEach(async () => {
  server = await ScriptedServer.start()
  warnings = []
  const logger = { debug: () => undefined, warn: (fields: object) => void warnings.push(fields) }
  client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 }, logger })
})
afterEach(async () => {
  await client.close()
  await server.close()
})

async function live(session: Session): Promise<Peer> {
  const peer = await server.accept()
  await peer.welcome()
  await peer.attach([message('m1', 'r1')])
  await until(session, ({ status }) => status === 'live')
  return peer
}

const closed = expect.objectContaining({ name: 'ParleyError', code: 'closed' })

/** Every command, as code that forgot about the close calls it. */
const COMMANDS: Readonly<Record<string, (session: Session) => unknown>> = {
  send: (session) => session.send('lost?'),
  redirect: (session) => session.redirect('lost?'),
  edit: (session) => session.edit('m1', 'lost?'),
  'edit of an unknown message': (session) => session.edit('unknown', 'lost?'),
  regenerate: (session) => session.regenerate('m1'),
  cancel: (session) => session.cancel('r1'),
  decide: (session) => session.decide('c1', 'approve'),
  show: (session) => session.show({ typing: true }),
  'presence.show': (session) => session.presence.show({ typing: true }),
}

async function outcomes(session: Session): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {}
  for (const [name, command] of Object.entries(COMMANDS)) {
    try {
      await command(session)
      all[name] = 'no error'
    } catch (error) {
      all[name] = error
    }
  }
  return all
}

const allClosed = Object.fromEntries(Object.keys(COMMANDS).map((name) => [name, closed]))

// Regression: a message was lost without an error, because `send` returned a reply that nobody looked at.
describe('a closed session', () => {
  it('refuses every command, sends none, and stays readable', async () => {
    const session = client.session('s')
    const peer = await live(session)
    await session.close()
    await session.close()
    expect(await outcomes(session)).toEqual(allClosed)
    await peer.expect('detach')
    // Everything that was sent has arrived before this frame.
    client.session('other')
    expect((await peer.expect('attach')).session).toBe('other')
    expect(session.state).toMatchObject({ status: 'offline', pending: [], error: { code: 'closed' } })
    expect(session.state.messages.map(({ id }) => id)).toEqual(['m1'])
    session.subscribe(() => undefined)()
  })

  it('rejects what is unanswered, and logs how much that is', async () => {
    const session = client.session('s')
    const peer = await live(session)
    const reply = session.send('one')
    const deciding = session.decide('c1', 'deny')
    await peer.expect('send')
    const texts = reply.text().next()
    const closing = session.close()
    await expect(reply.accepted).rejects.toEqual(closed)
    await expect(reply.result()).rejects.toEqual(closed)
    await expect(reply.events().next()).rejects.toEqual(closed)
    await expect(texts).rejects.toEqual(closed)
    await expect(deciding).rejects.toEqual(closed)
    await closing
    expect(warnings).toEqual([{ session: 's', code: 'closed', commands: 2 }])
    expect(session.state.pending).toEqual([])
  })

  it('rejects what was written without a connection', async () => {
    const session = client.session('s')
    const reply = session.send('not sent yet')
    await session.close()
    await expect(reply.accepted).rejects.toEqual(closed)
    expect(warnings).toMatchObject([{ commands: 1 }])
  })

  it('aborts a tool of this client with the reason, and drops its result', async () => {
    let begin: (signal: AbortSignal) => void = () => undefined
    const begun = new Promise<AbortSignal>((resolve) => {
      begin = resolve
    })
    const slow = tool({
      name: 'slow',
      async execute(_, { signal }) {
        begin(signal)
        await once(signal, 'abort')
        return 'late'
      },
    })
    const session = client.session('s', { tools: [slow] })
    const peer = await server.accept()
    await peer.welcome()
    await peer.attach([message('m1', 'r1'), started('r1', 'm1'), called('r1', 'c1', 'slow')])
    const claim = await peer.expect('tool.claim')
    peer.send({ type: 'ok', id: claim.id })
    const signal = await begun
    await session.close()
    expect(signal.reason).toEqual(closed)
    await peer.expect('detach')
    client.session('other')
    expect((await peer.expect('attach')).session).toBe('other')
  })

  it('opens again as a live session, also when it is closed and opened repeatedly at once', async () => {
    const first = client.session('s')
    const peer = await live(first)
    await first.close()
    // React's StrictMode mounts, unmounts and mounts again before anything is answered.
    const second = client.session('s')
    await second.close()
    const third = client.session('s')
    expect(third).not.toBe(first)
    expect(client.session('s')).toBe(third)
    await peer.expect('detach')
    await peer.expect('attach')
    await peer.expect('detach')
    await peer.attach([message('m1', 'r1')])
    await until(third, ({ status }) => status === 'live')
    const reply = third.send('again')
    const { id } = await peer.expect('send')
    peer.send({ type: 'ok', id, message: id, run: 'r2' })
    expect(await reply.accepted).toMatchObject({ run: 'r2' })
    expect([first.state.status, second.state.status]).toEqual(['offline', 'offline'])
  })

  it('refuses commands with the reason if the server ended it', async () => {
    const session = client.session('s')
    const peer = await live(session)
    peer.send({ type: 'error', session: 's', code: 'session_deleted', message: 'Deleted.', retryable: false })
    await until(session, ({ error }) => error !== undefined)
    expect(() => session.send('lost?')).toThrow(expect.objectContaining({ code: 'session_deleted' }))
  })
})

describe('a closed client', () => {
  it('refuses every command and request, and rejects those in progress', async () => {
    const requests = new EventEmitter()
    const own = new ParleyClient({
      url: server.url,
      async fetch(_, init) {
        requests.emit('request')
        if (init?.signal) await once(init.signal, 'abort')
        throw new TypeError('aborted')
      },
    })
    const session = own.session('s')
    const reply = session.send('one')
    const requested = once(requests, 'request')
    const listing = own.sessions()
    await requested
    await own.close()
    await own.close()
    await expect(reply.accepted).rejects.toEqual(closed)
    await expect(listing).rejects.toEqual(closed)
    expect(await outcomes(session)).toEqual(allClosed)
    const late = own.session('late')
    expect(late.state).toMatchObject({ status: 'offline', error: { code: 'closed' } })
    expect(await outcomes(late)).toEqual(allClosed)
    expect(() => own.connect()).toThrow(ParleyError)
    await expect(own.sessions()).rejects.toEqual(closed)
    await expect(own.me()).rejects.toEqual(closed)
    await expect(own.deleteSession('s')).rejects.toEqual(closed)
    own.renew()
    own.subscribe(() => undefined)()
  })

  it('does not retry a request that failed before', async () => {
    const requests = new EventEmitter()
    let count = 0
    const own = new ParleyClient({
      url: server.url,
      async fetch() {
        count += 1
        requests.emit('request')
        throw new TypeError('no network')
      },
    })
    const requested = once(requests, 'request')
    const me = own.me()
    await requested
    await own.close()
    await expect(me).rejects.toEqual(closed)
    expect(count).toBe(1)
  })
})
