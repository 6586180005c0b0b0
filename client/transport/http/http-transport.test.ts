// Tests the HTTP transports against a scripted server: they keep the promises of a WebSocket.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientOptions, ParleyClient, type Session, tool } from '../../index.ts'
import { ManualClock } from '../../test/manual-clock.ts'
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
  it('is attached, replayed and live, with the client’s name and access token', async () => {
    const client = open('sse', { token: 'secret' })
    const session = client.session('s1')
    const stream = await ask('/s1/events')
    expect(stream.headers).toMatchObject({
      accept: 'text/event-stream, application/problem+json',
      authorization: 'Bearer secret',
    })
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

  it('frees the connection of its stream while a command gets no answer', async () => {
    const clock = new ManualClock()
    const session = open('sse', { clock }).session('s1')
    const stream = await ask('/s1/events')
    stream.attached('s1', 1)
    await live(session)
    const reply = session.send('hi')
    const post = await ask('/messages', 'POST')
    await clock.armed(4_000)
    clock.advance(4_000)
    await stream.gone()
    const poll = await ask('/s1/events')
    expect(poll.headers.accept).toBe('application/json')
    post.json({ run: 'r1', cursor: cursor(1) }, 202)
    await reply.accepted
    poll.json(page(1, [message(reply.command, 'r1')]))
    await clock.armed(2_000)
    clock.advance(2_000)
    expect((await ask('/s1/events')).headers.accept).toContain('text/event-stream')
  })

  it('resumes at its cursor when the stream is cut, and applies nothing twice', async () => {
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

  it('starts over when the server reports another log', async () => {
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

  it('starts from the beginning when its cursor is rejected', async () => {
    const session = open('sse').session('s1', { after: 'e.7' })
    const first = await ask('/s1/events')
    expect(first.query.get('after')).toBe('e.7')
    first.problem(400, 'invalid_cursor')
    const second = await ask('/s1/events')
    expect(second.query.get('after')).toBeNull()
    second.attached('s1', 1, ANSWER)
    await live(session)
  })

  it('reports why it cannot be attached, and leaves the other sessions alone', async () => {
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

  it('asks for a fresh access token when its own is rejected, and ends if that one is rejected, too', async () => {
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

  it('leaves a stopping node at the time that the node named', async () => {
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

  it('replaces the transport when a session’s stream breaks repeatedly', async () => {
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
  it('is attached by a short poll, and continues with long polls', async () => {
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

  it('starts over on a page with `reset`', async () => {
    const session = open('long-poll').session('s1')
    const first = await ask('/s1/events')
    first.json(page(1, ANSWER))
    await live(session)
    const second = await ask('/s1/events')
    second.json(page(1, [message('x', 'rx', 'another past')], { reset: true }))
    await until(session, (view) => view.messages[0]?.id === 'x')
    expect(session.state.status).toBe('live')
  })

  it('shortens its long polls when one is cut', async () => {
    const clock = new ManualClock()
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

  it('are posted one at a time within a session, and concurrently between sessions', async () => {
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

  it('are posted again with the same key if the answer is lost', async () => {
    const [session] = await attached(open(door))
    const reply = session.send('hi')
    const first = await ask('/messages', 'POST')
    first.drop()
    const second = await ask('/messages', 'POST')
    expect([second.key, second.body]).toEqual([first.key, first.body])
    second.json({ run: 'r1', cursor: cursor(0) }, 202)
    expect((await reply.accepted).run).toBe('r1')
  })

  it('are posted again over the next transport if the server is unreachable', async () => {
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

  it('are retried if the server allows it, and otherwise rejected with the code', async () => {
    const clock = new ManualClock()
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

  it('resolve a cancel only after everything up to the run’s end', async () => {
    const [session, feed] = await attached(open(door), 's1', ANSWER.slice(0, 3))
    const order: string[] = []
    session.subscribe(() => order.push(session.state.runs.get('r1')?.status ?? ''))
    const cancelled = session.cancel().then(() => order.push('cancel resolved'))
    const post = await ask('/cancel', 'POST')
    expect(post.body).toEqual({ run: 'r1', seen: { run: 'r1', index: 0 } })
    post.json({ id: post.key, session: 's1', run: 'r1', cursor: cursor(5) })
    const rest = [says('r1', 1, 'lo'), ended('r1', 2, 'cancelled')]
    if (door === 'sse') feed.entries('s1', 4, rest)
    else feed.json(page(4, rest))
    await cancelled
    expect(order.at(-1)).toBe('cancel resolved')
    expect(order.at(-2)).toBe('cancelled')
  })

  it('fetch their effects by a parallel poll if the feed does not deliver them', async () => {
    const clock = new ManualClock()
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
    // Late entries arrive twice, and apply once.
    if (door === 'sse') feed.entries('s1', 4, [...rest, message('m2', 'r2', 'and now?')])
    else feed.json(page(4, [...rest, message('m2', 'r2', 'and now?')]))
    await until(session, (view) => view.messages.length === 2)
    expect(session.state.faults).toBe(0)
  })

  it('declare tools before any other request, and withdraw them at the end', async () => {
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

  it('fail a session whose tools are rejected', async () => {
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

  it('ignores answers of an intermediary', async () => {
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

  it('waits as long as the server asks for', async () => {
    const clock = new ManualClock()
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
    [403, 'origin_not_allowed', 4403],
  ] as const)('ends the client on status %i', async (status, code, closeCode) => {
    const client = open('sse')
    client.connect()
    const hello = await ask('/v1/hello')
    hello.problem(status, code)
    await until(client, (state) => state.status === 'closed')
    expect(client.state.error).toMatchObject({ closeCode })
  })
})
