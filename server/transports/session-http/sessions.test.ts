// The list of sessions, and deletion, on one node: contents, order and pages of the list; a deleted session detaches
// all of its readers, is refused on every transport, and leaves nothing behind.
import { type EntryFrame, Problem, type SessionsAnswer } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { type JobTransport, openJobTransport } from '../jobs/job-routes.ts'
import type { TestClient } from '../test/test-client.ts'
import { TransportHarness } from '../test/transport-harness.ts'

const SECRET = 'a secret of some length, for tests'

let harness: TransportHarness
let jobs: JobTransport
const aborts: AbortController[] = []

afterEach(async () => {
  for (const abort of aborts.splice(0)) abort.abort()
  jobs.close()
  await harness.close()
})

async function open({ tokens = true } = {}): Promise<void> {
  harness = await TransportHarness.open({
    ...(tokens ? { auth: { jwtSecret: SECRET } } : {}),
    routes: (ports) => {
      jobs = openJobTransport({ ...ports, retentionMs: 3_600_000, busy: () => 0 })
      return jobs.routes
    },
  })
}

async function headersOf(user: string): Promise<Record<string, string>> {
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(user).sign(Buffer.from(SECRET))
  return { Authorization: `Bearer ${token}` }
}

interface Asked {
  readonly method?: string
  readonly body?: unknown
  readonly accept?: string
  readonly key?: string
}

async function ask(user: string, path: string, { method = 'GET', body, accept, key }: Asked = {}): Promise<Response> {
  const abort = new AbortController()
  aborts.push(abort)
  return harness.fetch(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: {
      ...(await headersOf(user)),
      'Content-Type': 'application/json',
      ...(accept === undefined ? {} : { Accept: accept }),
      ...(key === undefined ? {} : { 'Idempotency-Key': key }),
    },
    signal: abort.signal,
  })
}

async function code(answering: Promise<Response>): Promise<number | string> {
  const answer = await answering
  return answer.ok ? answer.status : Problem.parse(await answer.json()).code
}

async function list(user: string, query = ''): Promise<SessionsAnswer> {
  return (await ask(user, `/v1/sessions${query}`)).json()
}

const listed = async (user: string): Promise<string> =>
  (await list(user)).sessions.map(({ session, role, title }) => [session, role, title ?? '-'].join(' ')).join()

const say = (user: string, session: string, content = 'hi') =>
  code(
    ask(user, `/v1/sessions/${session}/messages?`, { method: 'POST', body: { content }, accept: 'text/event-stream' }),
  )

const found = (user: string, session: string) => code(ask(user, `/v1/sessions/${session}/events`))
const remove = (user: string, session = 's', key?: string) =>
  code(ask(user, `/v1/sessions/${session}`, { method: 'DELETE', ...(key === undefined ? {} : { key }) }))

async function invited(role: string, user: string, session = 's'): Promise<void> {
  const path = `/v1/sessions/${session}`
  const { token } = await (await ask('ann', `${path}/invites`, { method: 'POST', body: { role } })).json()
  expect(await code(ask(user, `${path}/members`, { method: 'POST', body: { token } }))).toBe(200)
}

async function attached(user: string, session = 's'): Promise<TestClient> {
  const client = await harness.connect({ headers: await headersOf(user) })
  client.send({ type: 'hello' }, { type: 'attach', id: 'a', session })
  await client.next('live')
  return client
}

describe('the list of sessions', () => {
  it('has the caller’s sessions with roles, the most recently active first', async () => {
    await open()
    for (const session of ['s', 's2', 's3']) expect(await say('ann', session)).toBe(200)
    expect(await found('bob', 'bobs')).toBe(200)
    // A visit alone lists nothing.
    expect(await found('ann', 'silent')).toBe(200)
    await invited('viewer', 'bob', 's2')
    await expect.poll(() => listed('bob')).toBe('s2 viewer hi')
    expect(await code(ask('ann', '/v1/sessions/s', { method: 'PATCH', body: { title: 'Plans' } }))).toBe(204)
    await expect.poll(() => listed('ann')).toBe('s owner Plans,s2 owner hi,s3 owner hi')
    expect(await say('ann', 's3')).toBe(200)
    await expect.poll(() => listed('ann')).toBe('s3 owner hi,s owner Plans,s2 owner hi')
    expect(await listed('eve')).toBe('')
  })

  it('is paged by an opaque cursor, and refuses invalid ones', async () => {
    await open()
    for (let i = 0; i < 5; i += 1) expect(await say('ann', `s${i}`)).toBe(200)
    await expect.poll(async () => (await list('ann')).sessions.length).toBe(5)
    const seen: string[] = []
    for (let next: string | undefined = ''; next !== undefined; ) {
      const page: SessionsAnswer = await list('ann', `?limit=2${next === '' ? '' : `&before=${next}`}`)
      seen.push(...page.sessions.map(({ session }) => session))
      next = page.next
    }
    expect([...seen].sort()).toEqual(['s0', 's1', 's2', 's3', 's4'])
    for (const query of ['?before=x', '?limit=0', '?limit=201', '?limit=many', '?before=WyJ4IiwieSJd']) {
      expect(await code(ask('ann', `/v1/sessions${query}`))).toBe('bad_request')
    }
  })

  it('follows changed roles and removals', async () => {
    await open()
    expect(await found('ann', 's')).toBe(200)
    await invited('viewer', 'bob')
    await expect.poll(() => listed('bob')).toBe('s viewer -')
    expect(await code(ask('ann', '/v1/sessions/s/members/bob', { method: 'PUT', body: { role: 'editor' } }))).toBe(204)
    await expect.poll(() => listed('bob')).toBe('s editor -')
    expect(await code(ask('ann', '/v1/sessions/s/members/bob', { method: 'DELETE' }))).toBe(204)
    await expect.poll(() => listed('bob')).toBe('')
  })

  it('is repaired by a user’s access: missing and outdated records', async () => {
    await open()
    await harness.append('old', 'meta', { type: 'member.joined', user: 'ann', role: 'owner' })
    await harness.append('old', 'meta', { type: 'member.joined', user: 'bob', role: 'viewer' })
    await harness.append('old', 'meta', { type: 'member.left', user: 'bob' })
    const members = new Map([['bob', 'viewer']])
    const stale = { session: 'old', seq: 1, title: 'Old', createdAt: 1, updatedAt: 1, members }
    await harness.stores.directory.update(stale)
    expect(await listed('bob')).toBe('old viewer Old')
    expect(await found('bob', 'old')).toBe('forbidden')
    await expect.poll(() => listed('bob')).toBe('')
    expect(await listed('ann')).toBe('old owner -')
  })

  it('is shared by everyone without authentication', async () => {
    await open({ tokens: false })
    expect(await say('', 's1')).toBe(200)
    expect(await say('', 's2')).toBe(200)
    await expect.poll(() => listed('')).toBe('s2 owner hi,s1 owner hi')
    const [newest] = (await list('')).sessions
    expect(newest?.updatedAt).toBeGreaterThanOrEqual(newest?.createdAt ?? Number.POSITIVE_INFINITY)
  })

  it('requires an access token if authentication is configured', async () => {
    await open()
    expect((await harness.fetch('/v1/sessions')).status).toBe(401)
    expect((await harness.fetch('/v1/sessions/s', { method: 'DELETE' })).status).toBe(401)
  })
})

describe('a deleted session', () => {
  async function annsSession(): Promise<void> {
    await open()
    expect(await found('ann', 's')).toBe(200)
    await harness.startRun('s', 'r')
    await harness.say('s', 'r', 0, 3)
    await harness.append('s', 'tool.c', {
      type: 'tool.called',
      run: 'r',
      call: 'c',
      name: 'look_up',
      input: {},
      where: 'client',
      approval: true,
      attempt: 1,
      until: Date.now() + 60_000,
      step: 0,
    })
  }

  it('ends for all readers: a WebSocket gets an error, streams end, a long poll is refused', async () => {
    await annsSession()
    await invited('viewer', 'bob')
    const readers = [await attached('ann'), await attached('bob')]
    const forms = ['text/event-stream', 'application/x-ndjson']
    const streams = await Promise.all(forms.map((accept) => ask('bob', '/v1/sessions/s/events', { accept })))
    const { cursor } = await (await ask('bob', '/v1/sessions/s/events')).json()
    const waiting = code(ask('bob', `/v1/sessions/s/events?wait=30&after=${cursor}`))
    const job = code(ask('ann', '/jobs/r-s?wait=30'))
    await expect.poll(() => harness.hub.readers('s')).toHaveLength(5)
    expect(await remove('ann')).toBe(204)
    for (const reader of readers) {
      expect(await reader.next('error')).toMatchObject({ code: 'session_deleted', session: 's', retryable: false })
      reader.send({ type: 'ping', nonce: 'still here' })
      await reader.next('pong')
      const entries = reader.frames.filter((frame): frame is EntryFrame => frame.type === 'entry')
      expect(entries.map(({ event }) => event.type)).not.toContain('session.deleted')
    }
    for (const stream of streams) expect(await stream.text()).toMatch(/"code":"session_deleted"[^\n]*\n+$/)
    expect([await waiting, await job]).toEqual(['session_deleted', 'session_deleted'])
  })

  it.each([
    ['its snapshot', '', {}],
    ['its events as a page', '/events', {}],
    ['its events as a stream', '/events', { accept: 'text/event-stream' }],
    ['its events as NDJSON', '/events', { accept: 'application/x-ndjson' }],
    ['a message to it', '/messages', { method: 'POST', body: { content: 'hi' } }],
    [
      'a message to it with a stream',
      '/messages',
      { method: 'POST', body: { content: 'hi' }, accept: 'text/event-stream' },
    ],
    ['a cancel', '/cancel', { method: 'POST', body: {} }],
    ['a claim', '/tools/c/claim', { method: 'POST', body: {} }],
    ['a result', '/tools/c/result', { method: 'POST', body: { output: 1 } }],
    ['a decision', '/tools/c/decision', { method: 'POST', body: { decision: 'approve' } }],
    ['declaring tools for it', '/connections/mine', { method: 'PUT', body: { tools: [{ name: 't' }] } }],
    ['its members', '/members', {}],
    ['an invitation to it', '/invites', { method: 'POST', body: { role: 'viewer' } }],
    ['changing a role in it', '/members/ann', { method: 'PUT', body: { role: 'owner' } }],
    ['removing a member', '/members/ann', { method: 'DELETE' }],
    ['renaming it', '', { method: 'PATCH', body: { title: 'mine' } }],
    ['deleting it again', '', { method: 'DELETE' }],
  ] as const)('refuses %s, for every user', async (_, path, asked) => {
    await annsSession()
    expect(await remove('ann')).toBe(204)
    for (const user of ['ann', 'eve']) {
      const answer = await ask(user, `/v1/sessions/s${path}`, asked)
      expect([answer.status, Problem.parse(await answer.json()).code]).toEqual([410, 'session_deleted'])
    }
  })

  it('refuses an attach and its jobs, and is not created again by a late retry', async () => {
    await annsSession()
    const sent = { method: 'POST', body: { content: 'hi' }, key: 'k', accept: 'text/event-stream' }
    expect(await code(ask('ann', '/v1/sessions/s/messages', sent))).toBe(200)
    expect(await remove('ann')).toBe(204)
    expect(await code(ask('ann', '/v1/sessions/s/messages', sent))).toBe('session_deleted')
    for (const method of ['GET', 'DELETE'])
      expect(await code(ask('ann', '/jobs/r-s', { method }))).toBe('session_deleted')
    const client = await harness.connect({ headers: await headersOf('ann') })
    client.send({ type: 'hello' }, { type: 'attach', id: 'a', session: 's' })
    expect(await client.next('error', 'a')).toMatchObject({ code: 'session_deleted' })
  })

  it('disappears from every list', async () => {
    await annsSession()
    await invited('viewer', 'bob')
    await expect.poll(() => listed('bob')).toBe('s viewer -')
    expect(await remove('ann')).toBe(204)
    expect([await listed('ann'), await listed('bob')]).toEqual(['', ''])
  })

  it('accepts a repeat of the command that deleted it, but no other', async () => {
    await annsSession()
    expect(await remove('ann', 's', 'k')).toBe(204)
    expect(await remove('ann', 's', 'k')).toBe(204)
    expect(await remove('ann', 's', 'other')).toBe('session_deleted')
  })

  it('can only be deleted by an owner', async () => {
    await annsSession()
    await invited('editor', 'bob')
    expect(await remove('bob')).toBe('forbidden')
    expect(await remove('eve')).toBe('forbidden')
    expect(await remove('ann', 'never')).toBe('session_not_found')
    expect(await found('ann', 's')).toBe(200)
    expect(await harness.stores.deletions.list('begun', 9)).toEqual([])
  })

  it('ends for all readers without authentication, too', async () => {
    await open({ tokens: false })
    await harness.startRun('s', 'r')
    const reader = await harness.enter()
    reader.send({ type: 'attach', id: 'a', session: 's' })
    await reader.next('live')
    expect(await remove('', 's')).toBe(204)
    expect(await reader.next('error')).toMatchObject({ code: 'session_deleted', session: 's' })
    reader.send({ type: 'attach', id: 'b', session: 's' })
    expect(await reader.next('error', 'b')).toMatchObject({ code: 'session_deleted' })
    for (const accept of ['application/json', 'text/event-stream']) {
      expect(await code(ask('', '/v1/sessions/s/events', { accept }))).toBe('session_deleted')
    }
    expect(await say('', 's')).toBe('session_deleted')
    expect(await remove('', 'never')).toBe('session_not_found')
  })
})
