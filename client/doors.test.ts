// The doors that a client goes through, against a peer that says exactly what a test tells it to: what is remembered, and
// what makes a client leave an event stream that was good once.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientOptions, type DoorStorage, ParleyClient } from './index.ts'
import { HandClock } from './test/hand-clock.ts'
import { ScriptedHttp } from './test/scripted-http.ts'
import { cursor, entry, message } from './test/scripted-server.ts'
import { until } from './test/until.ts'

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

function open(options: Partial<ClientOptions> = {}): ParleyClient {
  const client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 }, ...options })
  clients.push(client)
  return client
}

describe('what worked', () => {
  it('is remembered when it has held for a while, under the server’s address', async () => {
    const kept: [string, string][] = []
    const storage: DoorStorage = { getItem: () => null, setItem: (key, value) => kept.push([key, value]) }
    const clock = new HandClock()
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
    ['that holds something else', 'telegraph 1'],
    ['that is from long ago', `long-poll ${Date.now() - 48 * 60 * 60_000}`],
    ['that is from the future', `long-poll ${Date.now() + 48 * 60 * 60_000}`],
  ])('is not taken from a storage %s', (_, held) => {
    const client = open({ storage: { getItem: () => held, setItem: () => undefined } })
    expect(client.state.transport).toEqual({ door: 'websocket', moves: 0 })
  })

  it('is not missed where the storage fails', async () => {
    const fail = (): never => {
      throw new Error('denied')
    }
    const clock = new HandClock()
    const client = open({ storage: { getItem: fail, setItem: fail }, clock })
    const session = client.session('s1')
    const stream = await server.expect('GET', '/s1/events')
    stream.attached('s1', 1)
    await until(session, (view) => view.status === 'live')
    clock.advance(5_000)
    expect(client.state.status).toBe('open')
  })

  it('does not count where the door is chosen', () => {
    const storage = { getItem: () => `long-poll ${Date.now()}`, setItem: () => undefined }
    expect(open({ storage, transport: 'sse' }).state.transport).toEqual({ door: 'sse', moves: 0 })
  })
})

describe('an event stream that was live', () => {
  it('is left for long polls when it brings nothing while a poll on the side does', async () => {
    const clock = new HandClock()
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
    // At once, and not when it is clear what is wrong.
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

  it('is kept when what it lacked comes late', async () => {
    const clock = new HandClock()
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
    // As long as it would have been waited for, and more.
    clock.advance(10_000)
    expect(client.state.transport).toEqual({ door: 'sse', why: 'blocked', moves: 0 })
  })

  it('is opened anew when it has been silent for longer than a server is', async () => {
    const clock = new HandClock()
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
