// Tests the client against a scripted server, over real sockets.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ClientOptions, ParleyClient } from './index.ts'
import { cursor, ended, entry, message, type Peer, ScriptedServer, says, started } from './test/scripted-server.ts'
import { until } from './test/until.ts'

let server: ScriptedServer
let clients: ParleyClient[]

beforeEach(async () => {
  server = await ScriptedServer.start()
  clients = []
})
afterEach(async () => {
  vi.useRealTimers()
  for (const client of clients) await client.close()
  await server.close()
})

function makeClient(options: Partial<ClientOptions> = {}): ParleyClient {
  const client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 }, ...options })
  clients.push(client)
  return client
}

async function welcomed(): Promise<Peer> {
  const peer = await server.accept()
  await peer.welcome()
  return peer
}

const ANSWER = [message('m1', 'r1'), started('r1', 'm1'), says('r1', 0, 'Hel'), says('r1', 1, 'lo'), ended('r1', 2)]

describe.each(['json', 'msgpack'] as const)('client over %s', (codec) => {
  it('says hello, attaches, replays and goes live', async () => {
    const client = makeClient({ codec, token: async () => 'secret' })
    const session = client.session('s1')
    expect(session.state.status).toBe('attaching')
    const peer = await server.accept()
    const hello = await peer.expect('hello')
    expect(hello).toEqual({ type: 'hello', token: 'secret', client: { name: '@parley/client', version: '0.1.0' } })
    peer.send({ type: 'welcome', connection: 'c1', user: 'ann', node: 'n1', heartbeatMs: 9_000, limits: {} })
    expect(await peer.attach(ANSWER)).toBeUndefined()
    const state = await until(session, (view) => view.status === 'live')
    expect(state.messages.map(({ text }) => text)).toEqual(['hello'])
    expect(state.runs.get('r1')).toMatchObject({ status: 'completed', text: 'Hello', next: 2 })
    expect(client.state).toMatchObject({ status: 'open', user: 'ann', node: 'n1' })
  })
})

describe('client', () => {
  it('reports a lost access to a session, and keeps the other sessions', async () => {
    const client = makeClient()
    const [gone, other] = [client.session('s1'), client.session('s2')]
    const peer = await welcomed()
    await peer.attach(ANSWER)
    await peer.attach()
    await until(gone, (view) => view.status === 'live')
    peer.send({ type: 'error', session: 's1', code: 'forbidden', message: 'Removed.', retryable: false })
    const view = await until(gone, ({ status }) => status === 'offline')
    expect(view.error).toMatchObject({ code: 'forbidden' })
    expect(view.runs.get('r1')?.text).toBe('Hello')
    await expect(gone.cancel()).rejects.toMatchObject({ code: 'forbidden' })
    await until(other, ({ status }) => status === 'live')
    expect(client.state.status).toBe('open')
  })

  it('reports why and until when the server postponed a message', async () => {
    const client = makeClient()
    const session = client.session('s')
    const peer = await welcomed()
    await peer.attach()
    const reply = session.send('hello')
    const { id } = await peer.expect('send')
    const message = 'Too many.'
    peer.send({ type: 'error', id, code: 'rate_limited', message, retryable: true, retryAfterMs: 30 })
    const { pending } = await until(session, (view) => view.pending[0]?.delayed !== undefined)
    expect(pending[0]?.delayed).toEqual({ code: 'rate_limited', until: expect.any(Number) })
    expect((await peer.expect('send')).id).toBe(id)
    peer.send({ type: 'ok', id, message: id, run: 'r1' })
    expect(await reply.accepted).toMatchObject({ run: 'r1' })
  })

  it('shows presence while it is attached, and repeats its own state after each reconnect', async () => {
    const client = makeClient()
    const session = client.session('s')
    session.show({ device: 'phone' })
    const peer = await welcomed()
    await peer.attach()
    expect(await peer.expect('presence')).toEqual({ type: 'presence', session: 's', state: { device: 'phone' } })
    const members = [{ user: 'bob', connection: 'c2', state: { typing: true } }]
    peer.send({ type: 'presence', session: 's', members }, { type: 'presence', session: 'other', members: [] })
    await until(session.presence, (view) => view.members.length === 1)
    expect(session.presence.state.members).toEqual(members)
    session.show({ device: 'phone', typing: true })
    expect((await peer.expect('presence')).state).toEqual({ device: 'phone', typing: true })
    peer.drop()
    await until(session, ({ status }) => status === 'offline')
    expect(session.presence.state.members).toEqual([])
    const again = await welcomed()
    await again.attach()
    expect((await again.expect('presence')).state).toEqual({ device: 'phone', typing: true })
  })

  it('sends a fresh access token over the open connection after `renew`', async () => {
    let token = 'first'
    const client = makeClient({ token: () => token })
    client.session('s')
    const peer = await server.accept()
    await peer.welcome()
    await peer.attach()
    client.renew()
    token = 'second'
    client.renew()
    expect((await peer.expect('token')).token).toBe('second')
    expect(peer.waiting).toEqual([])
  })

  it('sends a fresh access token before its own expires, and nothing without a fresh one', async () => {
    const tokens = ['first', 'first', 'second']
    const client = makeClient({ token: () => tokens.shift() ?? 'none' })
    client.session('s1')
    const peer = await server.accept()
    expect(await peer.expect('hello')).toMatchObject({ token: 'first' })
    peer.send({ type: 'welcome', connection: 'c1', user: 'ann', node: 'n1', heartbeatMs: 60_000, limits: {} })
    await peer.attach()
    peer.send({ type: 'expiring', expiresAt: 1 }, { type: 'expiring', expiresAt: 1 })
    const { id, token } = await peer.expect('token')
    expect(token).toBe('second')
    peer.send({ type: 'ok', id })
    peer.send({ type: 'error', id: 'else', code: 'internal', message: 'no', retryable: false })
    expect(tokens).toEqual([])
    expect(peer.waiting).toEqual([])
    expect(client.state.status).toBe('open')
  })

  it('resumes at its cursor after a drop, with no output missing or repeated', async () => {
    const session = makeClient().session('s1')
    const first = await welcomed()
    await first.attach(ANSWER.slice(0, 3))
    await until(session, (view) => view.status === 'live')
    first.drop()
    const second = await welcomed()
    expect(await second.attach(ANSWER.slice(3), { first: 4 })).toBe('e.3')
    const view = await until(session, ({ status, activeRun }) => status === 'live' && activeRun === undefined)
    expect(view.runs.get('r1')?.text).toBe('Hello')
    expect(view.faults).toBe(0)
    expect(clients[0]?.state.resumes).toBe(1)
  })

  it('starts over on a reset, and keeps its pending messages', async () => {
    const session = makeClient().session('s1')
    const first = await welcomed()
    await first.attach(ANSWER.slice(0, 3))
    await until(session, (view) => view.status === 'live')
    const reply = session.send('and now?')
    await first.expect('send')
    first.drop()
    const second = await welcomed()
    await second.attach([message('x', 'rx', 'another log')], { reset: true })
    const view = await until(session, ({ status }) => status === 'live')
    expect(view.messages.map(({ id }) => id)).toEqual(['x'])
    expect(view.pending.map(({ id }) => id)).toEqual([reply.command])
  })

  it('sends unanswered commands again, in order and with the same ids', async () => {
    const session = makeClient().session('s1')
    const first = await welcomed()
    await first.attach()
    const replies = [session.send('one'), session.send('two')]
    const sent = [await first.expect('send'), await first.expect('send')]
    first.send({ type: 'ok', id: sent[0]?.id ?? '', message: sent[0]?.id ?? '', run: 'r1' })
    await replies[0]?.accepted
    const third = session.send('three')
    first.drop()
    const second = await welcomed()
    await second.attach()
    expect((await second.expect('send')).id).toBe(replies[1]?.command)
    expect(await second.expect('send')).toMatchObject({ id: third.command, content: 'three' })
    second.send({ type: 'ok', id: third.command, message: third.command, run: 'r3', duplicate: true })
    expect(await third.accepted).toEqual({ message: third.command, run: 'r3', duplicate: true })
  })

  it('sends a message of an earlier page under its old id, and does not wait for one that is in the log', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    await peer.attach([message('m1', 'r1')])
    await until(session, (view) => view.status === 'live')
    session.send('1', { id: 'm1' })
    session.send('2', { id: 'm2' })
    expect(await peer.expect('send')).toMatchObject({ id: 'm1', content: '1' })
    expect(await peer.expect('send')).toMatchObject({ id: 'm2', content: '2' })
    expect(session.state.pending.map(({ id }) => id)).toEqual(['m2'])
  })

  it('keeps commands from before the first connection', async () => {
    const session = makeClient().session('s1')
    const reply = session.send('early')
    const peer = await welcomed()
    await peer.attach()
    expect((await peer.expect('send')).id).toBe(reply.command)
  })

  it('retries if the server allows it, and otherwise rejects with the code', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    await peer.attach()
    const reply = session.send('hi', { policy: 'reject' })
    const { id } = await peer.expect('send')
    peer.send({ type: 'error', id, code: 'rate_limited', message: 'wait', retryable: true, retryAfterMs: 1 })
    expect((await peer.expect('send')).id).toBe(id)
    peer.send({ type: 'error', id, code: 'run_active', message: 'busy', retryable: false })
    await expect(reply.accepted).rejects.toMatchObject({ name: 'ParleyError', code: 'run_active', retryable: false })
    expect(session.state.pending).toEqual([])
    await expect(reply.result()).rejects.toMatchObject({ code: 'run_active' })
  })

  it('fails a command that the server postpones again and again', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    await peer.attach()
    const reply = session.send('hi')
    for (let tries = 0; tries <= 6; tries += 1) {
      const { id } = await peer.expect('send')
      peer.send({ type: 'error', id, code: 'unavailable', message: 'no', retryable: true, retryAfterMs: 1 })
    }
    await expect(reply.accepted).rejects.toMatchObject({ code: 'unavailable', retryable: true })
  })

  it('refuses more unanswered commands than `maxPending`', async () => {
    const session = makeClient({ maxPending: 2 }).session('s1')
    const replies = [1, 2, 3].map((n) => session.send(String(n)))
    await expect(replies[2]?.accepted).rejects.toMatchObject({ code: 'too_many_pending' })
  })

  it('stays closed after a close code that forbids a reconnect, and rejects pending commands', async () => {
    const client = makeClient()
    const session = client.session('s1')
    const reply = session.send('hi')
    const peer = await server.accept()
    peer.close(4401, 'not authenticated')
    await expect(reply.accepted).rejects.toMatchObject({ name: 'DisconnectedError', closeCode: 4401 })
    expect(client.state).toMatchObject({ status: 'closed', error: { closeCode: 4401 } })
    expect(session.state).toMatchObject({ status: 'offline', error: { closeCode: 4401 } })
    expect(() => client.session('s2').send('x')).toThrow(expect.objectContaining({ closeCode: 4401 }))
    expect(server.connections).toBe(1)
  })

  it('waits for another access token, with its sessions and messages, if asked to', async () => {
    let token = 'first'
    const client = makeClient({ token: () => token, whenTurnedAway: 'wait' })
    const session = client.session('s1')
    const first = await welcomed()
    await first.attach(ANSWER.slice(0, 3))
    await until(session, (view) => view.status === 'live')
    first.close(4401, 'the token has expired')
    await until(client, (state) => state.turnedAway === true)
    expect(client.state).toMatchObject({ status: 'waiting', error: { closeCode: 4401 } })
    const reply = session.send('hi')
    expect(session.state).toMatchObject({ status: 'offline', error: undefined, pending: [{ text: 'hi' }] })
    expect(server.connections).toBe(1)
    token = 'second'
    client.renew()
    const second = await server.accept()
    expect(await second.expect('hello')).toMatchObject({ token: 'second' })
    second.send({ type: 'welcome', connection: 'c2', user: 'ann', node: 'n1', heartbeatMs: 60_000, limits: {} })
    expect(await second.attach(ANSWER.slice(3), { first: 4 })).toBe('e.3')
    const { id } = await second.expect('send')
    second.send({ type: 'ok', id, message: id, run: 'r2' })
    await reply.accepted
    await until(session, (view) => view.runs.get('r1')?.text === 'Hello')
    expect(client.state.turnedAway).toBeUndefined()
  })

  it('leaves a stopping node at the time that the node named, and resumes', async () => {
    const client = makeClient()
    const session = client.session('s1')
    const first = await welcomed()
    await first.attach(ANSWER.slice(0, 3))
    first.send({ type: 'goaway', reason: 'restart', reconnectAfterMs: 20 })
    const second = await welcomed()
    expect(await second.attach(ANSWER.slice(3), { first: 4 })).toBe('e.3')
    await until(session, (view) => view.activeRun === undefined)
    expect(client.state.attempt).toBe(0)
  })

  it('pings a silent server, and leaves one that does not answer', async () => {
    makeClient().session('s1')
    const first = await server.accept()
    await first.welcome(20)
    await first.expect('attach')
    await first.expect('ping')
    const second = await server.accept()
    expect(await second.expect('hello')).toMatchObject({ type: 'hello' })
  })

  it('leaves a silent server although the clock of the device was set back', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    makeClient().session('s1')
    const first = await server.accept()
    await first.welcome(20)
    await first.expect('attach')
    vi.setSystemTime(Date.now() - 3_600_000)
    await first.expect('ping')
    vi.setSystemTime(Date.now() + 7_200_000)
    await first.gone()
  })

  it('knows the server’s time, whatever the clock of the device shows', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const client = makeClient()
    const session = client.session('s1')
    const peer = await server.accept()
    await peer.expect('hello')
    const time = Date.now() - 600_000
    peer.send({ type: 'welcome', connection: 'c1', user: 'ann', node: 'n1', heartbeatMs: 60_000, limits: {}, time })
    await peer.attach()
    await until(session, (view) => view.status === 'live')
    const isNear = (other: number): boolean => client.now() >= other && client.now() < other + 60_000
    for (const step of [3_600_000, -7_200_000]) {
      vi.setSystemTime(Date.now() + step)
      expect(isNear(time)).toBe(true)
    }
    // The device slept meanwhile.
    peer.send({ type: 'entry', session: 's1', cursor: cursor(1), time: time + 120_000, event: message('m1', 'r1') })
    await until(session, (view) => view.messages.length === 1)
    expect(isNear(time + 120_000)).toBe(true)
  })

  it('keeps a silent server that answers pings', async () => {
    const session = makeClient().session('s1')
    const peer = await server.accept()
    await peer.welcome(150)
    await peer.attach()
    for (let i = 0; i < 4; i += 1) {
      await peer.expect('ping')
      peer.send({ type: 'pong' })
    }
    expect(session.state.status).toBe('live')
    expect(server.connections).toBe(1)
  })

  it('refuses a command that exceeds the server’s limit, and sends the others', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    await peer.attach()
    const [large, fine] = [session.send('é'.repeat(600_000)), session.send('fine')]
    await expect(large.accepted).rejects.toMatchObject({ code: 'too_large' })
    expect((await peer.expect('send')).id).toBe(fine.command)
  })

  it('survives an event of the wrong shape by a replay', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    await peer.attach(ANSWER.slice(0, 3))
    peer.entries('s1', 4, [{ type: 'run.snapshot', run: 'r1', next: 2 } as never])
    await peer.expect('detach')
    await peer.attach(ANSWER)
    const view = await until(session, ({ activeRun, status }) => status === 'live' && activeRun === undefined)
    expect(view.runs.get('r1')?.text).toBe('Hello')
  })

  it('leaves a server that does not send `welcome` in time', async () => {
    makeClient({ connectTimeoutMs: 500 }).session('s1')
    await server.accept()
    await (await server.accept()).welcome()
  })

  it('leaves a server that sends an invalid frame', async () => {
    const session = makeClient().session('s1')
    for (const rubbish of ['{"type":', '[1]', '{"type":"entry","session":"s1"}', 'null']) {
      const peer = await welcomed()
      peer.raw(rubbish)
      await peer.gone()
    }
    await (await welcomed()).attach()
    await until(session, (view) => view.status === 'live')
  })

  it('replays a session when an output is missing, and never shows a gap', async () => {
    const session = makeClient().session('s1')
    const texts = new Set<string>()
    session.subscribe(() => texts.add(session.state.runs.get('r1')?.text ?? ''))
    const peer = await welcomed()
    await peer.attach(ANSWER.slice(0, 3))
    peer.entries('s1', 5, ANSWER.slice(4))
    await peer.expect('detach')
    expect(await peer.attach(ANSWER)).toBeUndefined()
    const view = await until(session, ({ activeRun, status }) => status === 'live' && activeRun === undefined)
    expect(view.runs.get('r1')?.text).toBe('Hello')
    expect([...texts].every((text) => 'Hello'.startsWith(text))).toBe(true)
  })

  it('fails a session if replays do not help', async () => {
    const session = makeClient().session('s1')
    const reply = session.send('hi')
    const peer = await welcomed()
    const broken = [message('m1', 'r1'), started('r1', 'm1'), says('r1', 7, 'lo')]
    const attach = async (): Promise<void> => {
      const { id } = await peer.expect('attach')
      peer.send({ type: 'attached', id, session: 's1', cursor: cursor(3), role: 'owner' })
      peer.entries('s1', 1, broken)
    }
    await attach()
    await peer.expect('send')
    for (let tries = 0; tries < 3; tries += 1) {
      await peer.expect('detach')
      await attach()
    }
    const { error } = await until(session, (view) => view.error !== undefined)
    expect(error).toMatchObject({ code: 'gap' })
    await expect(reply.accepted).rejects.toMatchObject({ code: 'gap' })
  })

  it('reports why a session cannot be attached, and leaves the other sessions alone', async () => {
    const client = makeClient()
    const [a, b] = [client.session('a'), client.session('b')]
    const peer = await welcomed()
    const { id } = await peer.expect('attach')
    peer.send({ type: 'error', id, code: 'forbidden', message: 'no', retryable: false })
    await peer.attach()
    await until(b, (view) => view.status === 'live')
    expect(a.state).toMatchObject({ status: 'offline', error: { code: 'forbidden' } })
    await expect(a.cancel()).rejects.toMatchObject({ code: 'forbidden' })
  })

  it('attaches again after the time that the server asked for', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    const { id } = await peer.expect('attach')
    peer.send({ type: 'error', id, code: 'unavailable', message: 'later', retryable: true, retryAfterMs: 1 })
    await peer.attach()
    await until(session, (view) => view.status === 'live')
  })

  it('notifies its listeners once for all frames of a message', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    await peer.attach([message('m1', 'r1'), started('r1', 'm1')])
    await until(session, (view) => view.status === 'live')
    let calls = 0
    session.subscribe(() => {
      calls += 1
    })
    peer.send(...Array.from({ length: 50 }, (_, i) => entry('s1', 3 + i, says('r1', i, `${i} `))))
    await until(session, (view) => view.runs.get('r1')?.next === 50)
    expect(calls).toBe(1)
  })

  it('reports what was seen when it cancels or redirects', async () => {
    const session = makeClient().session('s1')
    const peer = await welcomed()
    await peer.attach(ANSWER.slice(0, 4))
    await until(session, (view) => view.status === 'live')
    const cancelling = session.cancel()
    const cancel = await peer.expect('cancel')
    expect(cancel).toMatchObject({ run: 'r1', seen: { run: 'r1', index: 1 } })
    session.redirect('rather this')
    expect(await peer.expect('send')).toMatchObject({ policy: 'interrupt', seen: { run: 'r1', index: 1 } })
    peer.send(entry('s1', 5, ended('r1', 2, 'cancelled')), { type: 'ok', id: cancel.id, run: 'r1' })
    await cancelling
    expect(session.state.runs.get('r1')?.status).toBe('cancelled')
  })

  it('returns the same session for an id until it is closed, and then detaches', async () => {
    const client = makeClient()
    const session = client.session('s1')
    const peer = await welcomed()
    await peer.attach()
    expect(client.session('s1')).toBe(session)
    const waiting = session.send('hi')
    await peer.expect('send')
    await session.close()
    expect(await peer.expect('detach')).toMatchObject({ session: 's1' })
    await expect(waiting.accepted).rejects.toMatchObject({ code: 'closed' })
    expect(client.session('s1')).not.toBe(session)
  })
})
