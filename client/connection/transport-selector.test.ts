// Tests, against a scripted server, what the transport selection remembers, and when a client leaves an event stream
// that has worked.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientOptions, type DoorStorage, ParleyClient } from '../index.ts'
import { ManualClock } from '../test/manual-clock.ts'
import { ScriptedHttp } from '../test/scripted-http.ts'
import { cursor, entry, message } from '../test/scripted-server.ts'
import { until } from '../test/until.ts'

let server: ScriptedHttp
let clients: ParleyClient[]

beforeEach(async () => {
  server = await ScriptedHttp.start()
  clients = []
})
afterEach(async () => {
  for (const client of clients) await client.close()
  await server.close()
})

function memoryStorage(): { readonly kept: Map<string, string>; readonly storage: DoorStorage } {
  const kept = new Map<string, string>()
  return { kept, storage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) } }
}

function open(options: Partial<ClientOptions> = {}): ParleyClient {
  const client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 }, ...options })
  clients.push(client)
  return client
}

describe('the remembered transport', () => {
  it('is stored once it is stable, under the server’s address', async () => {
    const kept: [string, string][] = []
    const storage: DoorStorage = {
      getItem: () => null,
      setItem: (key, value) => key.startsWith('parley.door:') && kept.push([key, value]),
    }
    const clock = new ManualClock()
    const session = open({ storage, clock }).session('s1')
    const stream = await server.expect('GET', '/s1/events')
    stream.attached('s1', 1)
    await until(session, (view) => view.status === 'live')
    clock.advance(4_999)
    expect(kept).toEqual([])
    clock.advance(1)
    expect(kept).toEqual([[`parley.door:${server.url}`, `sse ${clock.now()}`]])
  })

  it.each([
    ['that is empty', null],
    ['that contains something else', 'telegraph 1'],
    ['with an old entry', `long-poll ${Date.now() - 48 * 60 * 60_000}`],
    ['with an entry from the future', `long-poll ${Date.now() + 48 * 60 * 60_000}`],
  ])('is not read from a storage %s', (_, held) => {
    const client = open({ storage: { getItem: () => held, setItem: () => undefined } })
    expect(client.state.transport).toEqual({ door: 'websocket', moves: 0 })
  })

  it('is read although the device’s clock was set back by an hour', () => {
    const client = open({ storage: { getItem: () => `sse ${Date.now() + 60 * 60_000}`, setItem: () => undefined } })
    expect(client.state.transport).toEqual({ door: 'sse', why: 'remembered', moves: 0 })
  })

  it('includes the server’s order, which applies at once the next time', async () => {
    server.experiment = { name: 'x', variant: 'b', doors: ['poll', 'sse'] }
    const { kept, storage } = memoryStorage()
    const clock = new ManualClock()
    const client = open({ storage, clock })
    const session = client.session('s1')
    const poll = await server.expect('GET', '/s1/events')
    expect(poll.headers.accept).toBe('application/json')
    poll.json({ cursor: cursor(1), entries: [], live: true, role: 'owner' })
    await until(session, (view) => view.status === 'live')
    expect(client.state.transport).toEqual({ door: 'long-poll', moves: 0 })
    clock.advance(5_000)
    expect(kept.get(`parley.door:${server.url}`)).toBe(`long-poll ${clock.now()} long-poll,sse,websocket`)

    const next = open({ storage, clock })
    expect(next.state.transport).toEqual({ door: 'long-poll', moves: 0 })
    // The experiment has ended: the client's own order applies.
    server.experiment = undefined
    next.session('s2')
    const stream = await server.expect('GET', '/s2/events')
    expect([stream.headers.accept, next.state.transport.door]).toEqual([
      'text/event-stream, application/problem+json',
      'sse',
    ])
  })

  it('is optional: a failing storage changes nothing', async () => {
    const fail = (): never => {
      throw new Error('denied')
    }
    const clock = new ManualClock()
    const client = open({ storage: { getItem: fail, setItem: fail }, clock })
    const session = client.session('s1')
    const stream = await server.expect('GET', '/s1/events')
    stream.attached('s1', 1)
    await until(session, (view) => view.status === 'live')
    clock.advance(5_000)
    expect(client.state.status).toBe('open')
  })

  it('does not affect a fixed transport', () => {
    const storage = { getItem: () => `long-poll ${Date.now()}`, setItem: () => undefined }
    expect(open({ storage, transport: 'sse' }).state.transport).toEqual({ door: 'sse', moves: 0 })
  })
})

describe('a client’s own id', () => {
  it('is sent without an access token, is stored, and stays the same', async () => {
    const { kept, storage } = memoryStorage()
    for (const session of ['s1', 's2']) {
      open({ storage, transport: 'sse' }).session(session)
      const stream = await server.expect('GET', `/${session}/events`)
      expect(stream.headers['parley-client']).toMatch(/^cli_/)
      expect(stream.headers['parley-client']).toBe(kept.get(`parley.client:${server.url}`))
    }
  })

  it('is not created with an access token', async () => {
    const { kept, storage } = memoryStorage()
    open({ storage, transport: 'sse', token: 't' }).session('s1')
    const stream = await server.expect('GET', '/s1/events')
    expect(stream.headers['parley-client']).toBeUndefined()
    expect([...kept.keys()]).toEqual([])
  })
})

describe('an event stream that was live', () => {
  it('is replaced by long polling if it delivers nothing while a parallel poll does', async () => {
    const clock = new ManualClock()
    const client = open({ clock, doors: { probeMs: 900_000 } })
    const session = client.session('s1')
    const stream = await server.expect('GET', '/s1/events')
    stream.attached('s1', 1)
    await until(session, (view) => view.status === 'live')
    const reply = session.send('hi')
    const post = await server.expect('POST', '/messages')
    post.json({ run: 'r1', cursor: cursor(1) }, 202)
    await clock.armed(1_000)
    clock.advance(1_000)
    const side = await server.expect('GET', '/s1/events')
    const entries = [entry('s1', 1, message(reply.command, 'r1', 'hi'))]
    side.json({ cursor: cursor(1), entries, live: true, role: 'owner' })
    // The entry is visible at once, before it is clear that the stream is stalled.
    await until(session, (view) => view.messages.length === 1)
    expect(client.state.transport.door).toBe('sse')
    await clock.armed(8_000)
    clock.advance(8_000)
    await stream.gone()
    const poll = await server.expect('GET', '/s1/events')
    expect(poll.query.get('after')).toBe(cursor(1))
    poll.json({ cursor: cursor(1), entries: [], live: true, role: 'owner' })
    await until(client, (state) => state.status === 'open' && state.transport.door === 'long-poll')
    expect(client.state.transport.why).toBe('buffered')
  })

  it('is kept if the missing entries arrive late', async () => {
    const clock = new ManualClock()
    const client = open({ clock, doors: { probeMs: 900_000 } })
    const session = client.session('s1')
    const stream = await server.expect('GET', '/s1/events')
    stream.attached('s1', 1)
    await until(session, (view) => view.status === 'live')
    const reply = session.send('hi')
    const post = await server.expect('POST', '/messages')
    post.json({ run: 'r1', cursor: cursor(1) }, 202)
    await clock.armed(1_000)
    clock.advance(1_000)
    const side = await server.expect('GET', '/s1/events')
    side.json({
      cursor: cursor(1),
      entries: [entry('s1', 1, message(reply.command, 'r1', 'hi'))],
      live: true,
      role: 'owner',
    })
    await clock.armed(8_000)
    stream.entries('s1', 1, [message(reply.command, 'r1', 'hi'), message('m2', 'r2', 'and now?')])
    await until(session, (view) => view.messages.length === 2)
    expect(session.state.faults).toBe(0)
    // Longer than the client would have waited for it.
    clock.advance(10_000)
    expect(client.state.transport).toEqual({ door: 'sse', why: 'blocked', moves: 0 })
  })

  it('is reopened after a longer silence than a server has', async () => {
    const clock = new ManualClock()
    const client = open({ clock, transport: 'sse' })
    const session = client.session('s1')
    const stream = await server.expect('GET', '/s1/events')
    stream.attached('s1', 1, [message('m1', 'r1')])
    await until(session, (view) => view.status === 'live')
    await clock.armed(37_500)
    clock.advance(37_500)
    const next = await server.expect('GET', '/s1/events')
    expect(next.query.get('after')).toBe(cursor(1))
    await stream.gone()
    next.attached('s1', 2, [message('m2', 'r2')])
    await until(session, (view) => view.messages.length === 2)
    expect(client.state).toMatchObject({ status: 'open', resumes: 0 })
  })
})
