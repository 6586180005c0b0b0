// The HTTP links against a peer that misbehaves on command: what a WebSocket promises holds over them, too.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientOptions, ParleyClient, type Session, tool } from '../../index.ts'
import { HandClock } from '../../test/hand-clock.ts'
import { type Ask, ScriptedHttp, welcome } from '../../test/scripted-http.ts'
import { called, cursor, ended, entry, message, says, started } from '../../test/scripted-server.ts'
import { until } from '../../test/until.ts'

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

const RECONNECT = { baseMs: 5, maxMs: 20 }

function open(transport: 'sse' | 'long-poll', options: Partial<ClientOptions> = {}): ParleyClient {
  const client = new ParleyClient({ url: server.url, transport, reconnect: RECONNECT, ...options })
  clients.push(client)
  return client
}

const ANSWER = [message('m1', 'r1'), started('r1', 'm1'), says('r1', 0, 'Hel'), says('r1', 1, 'lo'), ended('r1', 2)]

function page(first: number, events: typeof ANSWER, more: object = {}): object {
  const entries = events.map((event, i) => entry('s1', first + i, event))
  return { cursor: cursor(first - 1 + events.length), entries, live: true, role: 'owner', ...more }
}

async function live(session: Session): Promise<void> {
  await until(session, (view) => view.status === 'live')
}

async function ask(end: string, method = 'GET'): Promise<Ask> {
  return server.expect(method, end)
}

describe('a session over server-sent events', () => {
  it('is attached, replayed and live, under the name and the token of its client', async () => {
    const client = open('sse', { token: 'secret' })
    const session = client.session('s1')
    const stream = await ask('/s1/events')
    expect(stream.headers).toMatchObject({ accept: 'text/event-stream', authorization: 'Bearer secret' })
    expect(stream.headers['parley-connection']).toBe(client.state.connection)
    expect(stream.query.get('merge')).toBe('true')
    stream.attached('s1', 1, ANSWER)
    await live(session)
    expect(session.state.runs.get('r1')).toMatchObject({ status: 'completed', text: 'Hello' })
    expect(session.state.role).toBe('owner')
    expect(client.state).toMatchObject({
      status: 'open',
      user: 'ann',
      node: 'n1',
      transport: { door: 'sse', moves: 0 },
    })
  })

  it('goes on from its cursor when the stream is cut, and heeds nothing twice', async () => {
    const session = open('sse').session('s1')
    const first = await ask('/s1/events')
    first.attached('s1', 1, ANSWER.slice(0, 3))
    await live(session)
    first.drop()
    const second = await ask('/s1/events')
    expect(second.query.get('after')).toBe('e.3')
    second.attached('s1', 3, ANSWER.slice(2))
    await until(session, (view) => view.activeRun === undefined)
    expect(session.state.runs.get('r1')?.text).toBe('Hello')
    expect(session.state.faults).toBe(0)
    expect(session.state.status).toBe('live')
  })

  it('begins anew when the server says that the log is another', async () => {
    const session = open('sse').session('s1')
    const first = await ask('/s1/events')
    first.attached('s1', 1, ANSWER.slice(0, 3))
    await live(session)
    first.drop()
    const second = await ask('/s1/events')
    second.attached('s1', 1, [message('x', 'rx', 'another past')], { reset: true })
    await until(session, (view) => view.messages[0]?.id === 'x')
    expect(session.state.messages.length).toBe(1)
  })

  it('begins from the beginning when its cursor is not taken', async () => {
    const session = open('sse').session('s1', { after: 'e.7' })
    const first = await ask('/s1/events')
    expect(first.query.get('after')).toBe('e.7')
    first.problem(400, 'invalid_cursor')
    const second = await ask('/s1/events')
    expect(second.query.get('after')).toBeNull()
    second.attached('s1', 1, ANSWER)
    await live(session)
  })

  it('says why it cannot be attached, and leaves the others alone', async () => {
    const client = open('sse')
    const [a, b] = [client.session('a'), client.session('b')]
    const refused = await ask('/a/events')
    refused.problem(403, 'forbidden')
    const stream = await ask('/b/events')
    stream.attached('b', 1)
    await live(b)
    await until(a, (view) => view.error !== undefined)
    expect(a.state).toMatchObject({ status: 'offline', error: { code: 'forbidden' } })
    expect(client.state.status).toBe('open')
  })

  it('asks for a fresh token when the one it has is not taken any more, and ends when that is not, either', async () => {
    const tokens = ['t1', 't2']
    const client = open('sse', { token: () => tokens.shift() ?? 't2' })
    const session = client.session('s1')
    const first = await ask('/s1/events')
    first.problem(401, 'unauthenticated')
    const second = await ask('/s1/events')
    expect([first, second].map(({ headers }) => headers.authorization)).toEqual(['Bearer t1', 'Bearer t2'])
    second.attached('s1', 1)
    await live(session)
    second.drop()
    const third = await ask('/s1/events')
    third.problem(401, 'unauthenticated')
    await until(client, (state) => state.status === 'closed')
    expect(client.state.error).toMatchObject({ closeCode: 4401 })
    expect(client.state.transport.door).toBe('sse')
  })

  it('leaves a node that goes away, at the time that it named', async () => {
    const client = open('sse')
    const session = client.session('s1')
    const first = await ask('/s1/events')
    first.attached('s1', 1, ANSWER.slice(0, 3))
    await live(session)
    first.frame({ type: 'goaway', reason: 'restart', reconnectAfterMs: 20 })
    const second = await ask('/s1/events')
    expect(second.query.get('after')).toBe('e.3')
    second.attached('s1', 4, ANSWER.slice(3))
    await until(session, (view) => view.status === 'live' && view.activeRun === undefined)
    expect(client.state).toMatchObject({ attempt: 0, resumes: 1 })
  })

  it('gives the link up when the stream of a session is broken again and again', async () => {
    const client = open('sse')
    const session = client.session('s1')
    for (let i = 0; i < 3; i += 1) {
      const stream = await ask('/s1/events')
      stream.attached('s1', 1)
      await live(session)
      stream.drop()
    }
    await until(client, (state) => state.resumes === 1)
    const stream = await ask('/s1/events')
    stream.attached('s1', 1, ANSWER)
    await until(session, (view) => view.messages.length === 1)
  })
})

describe('a session over long polls', () => {
  it('is attached by a poll that does not wait, and goes on with polls that do', async () => {
    const session = open('long-poll').session('s1')
    const first = await ask('/s1/events')
    expect(first.query.get('wait')).toBeNull()
    first.json(page(1, ANSWER.slice(0, 2), { live: false }))
    const second = await ask('/s1/events')
    expect([second.query.get('after'), second.query.get('wait')]).toEqual(['e.2', null])
    second.json(page(3, ANSWER.slice(2, 3)))
    await live(session)
    const third = await ask('/s1/events')
    expect([third.query.get('after'), Number(third.query.get('wait'))]).toEqual(['e.3', 25])
    third.json(page(4, ANSWER.slice(3)))
    await until(session, (view) => view.activeRun === undefined)
    expect(session.state.runs.get('r1')?.text).toBe('Hello')
    expect(session.state.role).toBe('owner')
    const fourth = await ask('/s1/events')
    fourth.json(page(6, [], { role: 'viewer' }))
    await until(session, (view) => view.status === 'live' && view.role === 'viewer')
  })

  it('begins anew on a page that says so', async () => {
    const session = open('long-poll').session('s1')
    const first = await ask('/s1/events')
    first.json(page(1, ANSWER))
    await live(session)
    const second = await ask('/s1/events')
    second.json(page(1, [message('x', 'rx', 'another past')], { reset: true }))
    await until(session, (view) => view.messages[0]?.id === 'x')
    expect(session.state.status).toBe('live')
  })

  it('waits for less where a poll that waits is cut', async () => {
    const clock = new HandClock()
    const session = open('long-poll', { clock }).session('s1')
    const first = await ask('/s1/events')
    first.json(page(1, []))
    await live(session)
    const second = await ask('/s1/events')
    clock.advance(5_000)
    second.html(504)
    const third = await ask('/s1/events')
    expect(Number(third.query.get('wait'))).toBe(12)
  })
})

describe.each(['sse', 'long-poll'] as const)('commands over HTTP, with %s', (door) => {
  async function attached(client: ParleyClient, id = 's1', events = ANSWER.slice(0, 0)): Promise<[Session, Ask]> {
    const session = client.session(id)
    const feed = await ask(`/${id}/events`)
    if (door === 'sse') feed.attached(id, 1, events)
    else feed.json(page(1, events))
    await live(session)
    return [session, door === 'sse' ? feed : await ask(`/${id}/events`)]
  }

  it('are posted one after the other in a session, and not one after the other between sessions', async () => {
    const client = open(door)
    const [a] = await attached(client, 'a')
    const [b] = await attached(client, 'b')
    const replies = [a.send('one'), a.send('two', { model: 'demo' }), b.send('three')]
    const one = await ask('/a/messages', 'POST')
    const three = await ask('/b/messages', 'POST')
    expect(server.waiting).toEqual([])
    expect(one.body).toEqual({ content: 'one' })
    expect(one.headers).toMatchObject({ prefer: 'respond-async', 'idempotency-key': replies[0]?.command })
    one.json({ id: 'r1-a', session: 'a', run: 'r1', state: 'queued', cursor: cursor(0) }, 202)
    const two = await ask('/a/messages', 'POST')
    expect([two.key, two.body]).toEqual([replies[1]?.command, { content: 'two', model: 'demo' }])
    three.json({ run: 'r3', cursor: cursor(0), duplicate: true }, 202)
    two.json({ run: 'r2', cursor: cursor(0) }, 202)
    const accepted = await Promise.all(replies.map((reply) => reply.accepted))
    expect(accepted.map(({ run, duplicate }) => [run, duplicate])).toEqual([
      ['r1', false],
      ['r2', false],
      ['r3', true],
    ])
  })

  it('are posted again with the same key when the answer was lost', async () => {
    const [session] = await attached(open(door))
    const reply = session.send('hi')
    const first = await ask('/messages', 'POST')
    first.drop()
    const second = await ask('/messages', 'POST')
    expect([second.key, second.body]).toEqual([first.key, first.body])
    second.json({ run: 'r1', cursor: cursor(0) }, 202)
    expect((await reply.accepted).run).toBe('r1')
  })

  it('are posted again over the next link when the server cannot be reached', async () => {
    const client = open(door)
    const [session] = await attached(client)
    const reply = session.send('hi')
    const keys: string[] = []
    for (let i = 0; i < 2; i += 1) {
      const post = await ask('/messages', 'POST')
      keys.push(post.key)
      post.html(502)
    }
    await until(client, (state) => state.resumes === 1)
    const feed = await ask('/s1/events')
    if (door === 'sse') feed.attached('s1', 1)
    else feed.json(page(1, []))
    const last = await ask('/messages', 'POST')
    expect(new Set([...keys, last.key])).toEqual(new Set([reply.command]))
    last.json({ run: 'r1', cursor: cursor(0) }, 202)
    await reply.accepted
  })

  it('are tried again where the server says that they may succeed, and rejected with the code where not', async () => {
    const clock = new HandClock()
    const [session] = await attached(open(door, { clock }))
    const reply = session.send('hi', { policy: 'reject' })
    const first = await ask('/messages', 'POST')
    first.problem(429, 'rate_limited', true, { 'Retry-After': '3' })
    await clock.armed(3_000)
    clock.advance(3_000)
    const second = await ask('/messages', 'POST')
    expect(second.key).toBe(first.key)
    second.problem(409, 'run_active')
    await expect(reply.accepted).rejects.toMatchObject({ name: 'ParleyError', code: 'run_active', retryable: false })
  })

  it('do not answer a cancel before all up to the run’s end was seen', async () => {
    const [session, feed] = await attached(open(door), 's1', ANSWER.slice(0, 3))
    const order: string[] = []
    session.subscribe(() => order.push(session.state.runs.get('r1')?.status ?? ''))
    const cancelled = session.cancel().then(() => order.push('cancelled, and told so'))
    const post = await ask('/cancel', 'POST')
    expect(post.body).toEqual({ run: 'r1', seen: { run: 'r1', index: 0 } })
    post.json({ id: post.key, session: 's1', run: 'r1', cursor: cursor(5) })
    const rest = [says('r1', 1, 'lo'), ended('r1', 2, 'cancelled')]
    if (door === 'sse') feed.entries('s1', 4, rest)
    else feed.json(page(4, rest))
    await cancelled
    expect(order.at(-1)).toBe('cancelled, and told so')
    expect(order.at(-2)).toBe('cancelled')
  })

  it('fetch what they have done by a poll on the side, should it not come by itself', async () => {
    const clock = new HandClock()
    const [session, feed] = await attached(open(door, { clock }), 's1', ANSWER.slice(0, 3))
    const cancelled = session.cancel()
    const post = await ask('/cancel', 'POST')
    post.json({ id: post.key, session: 's1', run: 'r1', cursor: cursor(5) })
    const rest = [says('r1', 1, 'lo'), ended('r1', 2, 'cancelled')]
    await clock.armed(1_000)
    clock.advance(1_000)
    const side = await ask('/s1/events')
    expect([side.query.get('after'), side.query.get('wait'), side.headers.accept]).toEqual([
      'e.3',
      null,
      'application/json',
    ])
    side.json(page(4, rest))
    await cancelled
    expect(session.state.runs.get('r1')?.status).toBe('cancelled')
    // What comes late comes twice, and is heeded once.
    if (door === 'sse') feed.entries('s1', 4, [...rest, message('m2', 'r2', 'and now?')])
    else feed.json(page(4, [...rest, message('m2', 'r2', 'and now?')]))
    await until(session, (view) => view.messages.length === 2)
    expect(session.state.faults).toBe(0)
  })

  it('declare tools before anything else is asked for, and take them back in the end', async () => {
    const client = open(door)
    const session = client.session('s1', { tools: [tool({ name: 'clock', execute: () => 'noon' })] })
    session.send('what time is it?')
    const declared = await ask('', 'PUT')
    expect(declared.path).toBe(`/v1/sessions/s1/connections/${client.state.connection}`)
    expect(declared.body).toEqual({ tools: [{ name: 'clock' }] })
    expect(server.waiting).toEqual([])
    declared.json({ connection: client.state.connection, ttlMs: 30_000 })
    const feed = await ask('/s1/events')
    const call = [message('m1', 'r1'), started('r1', 'm1'), called('r1', 'c1', 'clock')]
    if (door === 'sse') feed.attached('s1', 1, call)
    else feed.json(page(1, call))
    await live(session)
    const sent = await ask('/messages', 'POST')
    expect(sent.body).toEqual({ content: 'what time is it?', tools: ['clock'] })
    sent.json({ run: 'r1', cursor: cursor(1) }, 202)
    const claim = await ask('/tools/c1/claim', 'POST')
    expect(claim.body).toEqual({})
    claim.json({ id: claim.key, session: 's1', cursor: cursor(3), until: 9e12 })
    const result = await ask('/tools/c1/result', 'POST')
    expect(result.body).toEqual({ output: 'noon' })
    result.json({ id: result.key, session: 's1', cursor: cursor(3) })
    await client.close()
    const left = await ask(declared.path, 'DELETE')
    left.json({})
  })

  it('refuse a session whose tools are not taken', async () => {
    const session = open(door).session('s1', { tools: [tool({ name: 'clock', execute: () => 'noon' })] })
    const declared = await server.expect('PUT', '')
    declared.problem(422, 'invalid_tool')
    await until(session, (view) => view.error !== undefined)
    expect(session.state.error).toMatchObject({ code: 'invalid_tool' })
    expect(server.waiting).toEqual([])
  })
})

describe('hello over HTTP', () => {
  beforeEach(async () => {
    await server.close()
    server = await ScriptedHttp.start({ welcomes: false })
  })

  it('is not said to what is no Parley: something on the way, which answers in its place', async () => {
    const client = open('sse')
    client.connect()
    const first = await ask('/v1/hello')
    first.html()
    const second = await ask('/v1/hello')
    second.json({ hello: 'world' })
    const third = await ask('/v1/hello')
    third.json(welcome())
    await until(client, (state) => state.status === 'open')
  })

  it('waits as long as the server asks it to', async () => {
    const clock = new HandClock()
    const client = open('sse', { clock })
    client.connect()
    const first = await ask('/v1/hello')
    first.problem(503, 'going_away', true, { 'Retry-After': '5' })
    await clock.armed(5_000, 5_100)
    clock.advance(5_100)
    const second = await ask('/v1/hello')
    second.json(welcome())
    await until(client, (state) => state.status === 'open')
  })

  it.each([
    [401, 'unauthenticated', 4401],
    [403, 'forbidden', 4403],
  ] as const)('ends the client when it is answered by %i', async (status, code, closeCode) => {
    const client = open('sse')
    client.connect()
    const hello = await ask('/v1/hello')
    hello.problem(status, code)
    await until(client, (state) => state.status === 'closed')
    expect(client.state.error).toMatchObject({ closeCode })
  })
})
