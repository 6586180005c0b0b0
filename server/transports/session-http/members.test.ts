// Members and roles on every transport: the permissions of a role, invitations, the immediate effect of a removal, and
// that a session reveals nothing to users who are not members.
import { Problem } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { formatJobId } from '../jobs/job-id.ts'
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

async function open(): Promise<void> {
  harness = await TransportHarness.open({
    auth: { jwtSecret: SECRET },
    routes: (ports) => {
      jobs = openJobTransport({ ...ports, retentionMs: 3_600_000, busy: () => 0 })
      return jobs.routes
    },
  })
}

function tokenOf(user: string): Promise<string> {
  const claims = { name: user.toUpperCase() }
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setSubject(user).sign(Buffer.from(SECRET))
}

interface Asked {
  readonly method?: string
  readonly body?: unknown
  readonly accept?: string
}

/** @param path relative to the session, or of a job */
async function ask(user: string, path: string, { method = 'GET', body, accept }: Asked = {}): Promise<Response> {
  const abort = new AbortController()
  aborts.push(abort)
  return harness.fetch(path.startsWith('/jobs') ? path : `/v1/sessions/s${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: {
      Authorization: `Bearer ${await tokenOf(user)}`,
      'Content-Type': 'application/json',
      ...(accept === undefined ? {} : { Accept: accept }),
    },
    signal: abort.signal,
  })
}

async function code(answering: Promise<Response>): Promise<number | string> {
  const answer = await answering
  return answer.ok ? answer.status : Problem.parse(await answer.json()).code
}

async function enter(user: string, id = 'a'): Promise<TestClient> {
  const client = await harness.connect({ headers: { Authorization: `Bearer ${await tokenOf(user)}` } })
  client.send({ type: 'hello' }, { type: 'attach', id, session: 's' })
  return client
}

const send = (text = 'hi') => ({ method: 'POST', body: { content: text }, accept: 'text/event-stream' })

async function invited(role: string, ...users: readonly string[]): Promise<string> {
  const { token } = await (await ask('ann', '/invites', { method: 'POST', body: { role } })).json()
  for (const user of users) expect(await code(ask(user, '/members', { method: 'POST', body: { token } }))).toBe(200)
  return token
}

/** Ann's session, with a run whose tool call waits for approval. */
async function annsSession(): Promise<void> {
  await open()
  expect((await enter('ann')).frames).toEqual([])
  await expect.poll(() => code(ask('ann', '/events'))).toBe(200)
  await harness.startRun('s', 'r')
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

describe('the first user', () => {
  it('creates the session and becomes its owner', async () => {
    await open()
    const ann = await enter('ann')
    expect((await ann.next('attached')).role).toBe('owner')
    await ann.next('live')
    const { members } = await (await ask('ann', '/members')).json()
    expect(members).toEqual([{ user: 'ann', role: 'owner', name: 'ANN' }])
  })

  it('is a single one, also when many users come at once', async () => {
    await open()
    const users = Array.from({ length: 8 }, (_, at) => `u${at}`)
    const codes = await Promise.all(users.map((user) => code(ask(user, '/events'))))
    expect(codes.filter((answer) => answer === 200)).toHaveLength(1)
    expect(codes.filter((answer) => answer === 'forbidden')).toHaveLength(7)
  })
})

describe('another user’s session', () => {
  it.each([
    ['its snapshot', '', {}],
    ['its events as a page', '/events', {}],
    ['its events as a stream', '/events', { accept: 'text/event-stream' }],
    ['its events as NDJSON', '/events', { accept: 'application/x-ndjson' }],
    ['a message to it', '/messages', send()],
    ['a cancel', '/cancel', { method: 'POST', body: {} }],
    ['a claim', '/tools/c/claim', { method: 'POST', body: {} }],
    ['a result', '/tools/c/result', { method: 'POST', body: { output: 1 } }],
    ['a decision', '/tools/c/decision', { method: 'POST', body: { decision: 'approve' } }],
    ['declaring tools for it', '/connections/mine', { method: 'PUT', body: { tools: [] } }],
    ['its members', '/members', {}],
    ['an invitation to it', '/invites', { method: 'POST', body: { role: 'viewer' } }],
    ['changing a role in it', '/members/eve', { method: 'PUT', body: { role: 'owner' } }],
    ['removing its owner', '/members/ann', { method: 'DELETE' }],
    ['renaming it', '', { method: 'PATCH', body: { title: 'mine' } }],
  ] as const)('refuses %s', async (_, path, asked) => {
    await annsSession()
    expect(await code(ask('eve', path, asked))).toBe('forbidden')
  })

  it('refuses an attach, and hides its jobs', async () => {
    await annsSession()
    const eve = await enter('eve')
    expect(await eve.next('error', 'a')).toMatchObject({ code: 'forbidden' })
    expect(await code(ask('ann', '/jobs/r-s'))).toBe(200)
    expect(await code(ask('eve', '/jobs/r-s'))).toBe('job_not_found')
    expect(await code(ask('eve', '/jobs/r-s', { method: 'DELETE' }))).toBe('job_not_found')
    expect(await code(ask('eve', '/jobs/r-elsewhere'))).toBe('job_not_found')
  })

  it('is not created by reading a snapshot or the members', async () => {
    await open()
    expect(await code(ask('ann', ''))).toBe('session_not_found')
    expect(await code(ask('ann', '/members'))).toBe('session_not_found')
  })
})

describe('a role', () => {
  it('has its permissions over HTTP and over a WebSocket', async () => {
    await annsSession()
    await invited('viewer', 'vic')
    await invited('approver', 'abe')
    await invited('editor', 'eda')
    const decide = { method: 'POST', body: { decision: 'approve' } }
    for (const user of ['vic', 'abe']) {
      expect(await code(ask(user, '/events'))).toBe(200)
      expect(await code(ask(user, '/messages', send()))).toBe('forbidden')
      expect(await code(ask(user, '/cancel', { method: 'POST', body: {} }))).toBe('forbidden')
      const client = await enter(user)
      await client.next('live')
      client.send({ type: 'send', id: 'm', session: 's', content: 'hi' })
      expect(await client.next('error', 'm')).toMatchObject({ code: 'forbidden' })
    }
    expect(await code(ask('vic', '/tools/c/decision', decide))).toBe('forbidden')
    expect(await code(ask('eda', '/tools/c/decision', decide))).toBe('forbidden')
    expect(await code(ask('abe', '/tools/c/decision', decide))).toBe(200)
    expect(await code(ask('eda', '/messages', send()))).toBe(200)
    for (const user of ['vic', 'abe', 'eda']) {
      expect(await code(ask(user, '/members/vic', { method: 'PUT', body: { role: 'owner' } }))).toBe('forbidden')
    }
  })

  it('changes at once', async () => {
    await annsSession()
    await invited('viewer', 'vic')
    expect(await code(ask('vic', '/messages', send()))).toBe('forbidden')
    expect(await code(ask('ann', '/members/vic', { method: 'PUT', body: { role: 'editor' } }))).toBe(204)
    expect(await code(ask('vic', '/messages', send()))).toBe(200)
    expect(await code(ask('ann', '/members/nobody', { method: 'PUT', body: { role: 'editor' } }))).toBe(
      'member_not_found',
    )
    expect(await code(ask('ann', '/members/vic', { method: 'PUT', body: { role: 'king' } }))).toBe('bad_request')
  })

  it('of the last owner cannot change, nor can the last owner leave', async () => {
    await annsSession()
    expect(await code(ask('ann', '/members/ann', { method: 'PUT', body: { role: 'viewer' } }))).toBe('last_owner')
    expect(await code(ask('ann', '/members/ann', { method: 'DELETE' }))).toBe('last_owner')
    await invited('owner', 'bob')
    expect(await code(ask('ann', '/members/ann', { method: 'DELETE' }))).toBe(204)
    expect(await code(ask('ann', '/events'))).toBe('forbidden')
  })
})

describe('an invitation', () => {
  it('lets several users join until it is revoked', async () => {
    await annsSession()
    const token = await invited('viewer', 'vic')
    const join = (user: string, text = token) => code(ask(user, '/members', { method: 'POST', body: { token: text } }))
    expect(await join('vic')).toBe(200)
    expect(await join('wim')).toBe(200)
    expect(await join('xia', `${token}x`)).toBe('invite_invalid')
    expect(await join('xia', 'nonsense')).toBe('invite_invalid')
    const { invites } = await (await ask('ann', '/members')).json()
    expect(JSON.stringify(invites)).not.toContain(token.split('.')[1])
    expect(await code(ask('ann', `/invites/${invites[0].invite}`, { method: 'DELETE' }))).toBe(204)
    expect(await join('xia')).toBe('invite_invalid')
  })

  it('does not readmit a user who was removed after its creation', async () => {
    await annsSession()
    const token = await invited('editor', 'bob')
    expect(await code(ask('ann', '/members/bob', { method: 'DELETE' }))).toBe(204)
    expect(await code(ask('bob', '/members', { method: 'POST', body: { token } }))).toBe('invite_invalid')
    expect(await code(ask('bob', '/messages', send()))).toBe('forbidden')
    await invited('viewer', 'bob')
  })
})

describe('a removed member', () => {
  it('loses access at once: the WebSocket gets an error, streams end, a long poll is refused', async () => {
    await annsSession()
    await invited('editor', 'bob')
    const bob = await enter('bob')
    await bob.next('live')
    const [stream, lines] = await Promise.all(
      ['text/event-stream', 'application/x-ndjson'].map((accept) => ask('bob', '/events', { accept })),
    )
    const { cursor } = await (await ask('bob', '/events')).json()
    const polling = code(ask('bob', `/events?wait=30&after=${cursor}`))
    await harness.say('s', 'r', 0, 1)
    await bob.next('entry')
    expect(await polling).toBe(200)
    const { cursor: later } = await (await ask('bob', '/events')).json()
    const waiting = code(ask('bob', `/events?wait=30&after=${later}`))
    await expect.poll(() => harness.hub.size).toBe(1)
    expect(await code(ask('ann', '/members/bob', { method: 'DELETE' }))).toBe(204)
    await harness.say('s', 'r', 1, 2, () => 'not for bob')
    expect(await bob.next('error')).toMatchObject({ code: 'forbidden', session: 's' })
    const texts = await Promise.all([stream?.text(), lines?.text()])
    for (const text of texts) {
      expect(text).toContain('"code":"forbidden"')
      expect(text).not.toContain('not for bob')
    }
    expect(await waiting).toBe('forbidden')
    bob.send({ type: 'ping', nonce: 'still here' })
    await bob.next('pong')
    expect(JSON.stringify(bob.frames)).not.toContain('not for bob')
  })

  it('loses access at once while it waits for an answer or a job', async () => {
    await annsSession()
    await invited('editor', 'bob')
    const waiting = code(
      ask('bob', '/messages', { method: 'POST', body: { content: 'hi' }, accept: 'application/json' }),
    )
    const runOf = async (): Promise<string | undefined> => {
      const { messages } = await (await ask('ann', '')).json()
      return messages.find(({ author }: { author?: string }) => author === 'bob')?.run
    }
    await expect.poll(runOf).toBeDefined()
    const job = formatJobId({ session: 's', run: (await runOf()) ?? '' })
    const polling = code(ask('bob', `/jobs/${job}?wait=60`))
    // The waits lasted until the end of the run, or for ten minutes.
    expect(await code(ask('ann', '/members/bob', { method: 'DELETE' }))).toBe(204)
    expect([await waiting, await polling]).toEqual(['forbidden', 'job_not_found'])
  })

  it('disappears from presence and gets no more presence', async () => {
    await annsSession()
    await invited('viewer', 'vic')
    const ann = await enter('ann')
    const vic = await enter('vic')
    await vic.next('live')
    ann.send({ type: 'presence', session: 's', state: { typing: true } })
    await vic.next('presence')
    expect(await code(ask('ann', '/members/vic', { method: 'DELETE' }))).toBe(204)
    await vic.next('error')
    const before = vic.frames.length
    ann.send({ type: 'presence', session: 's', state: { typing: false } })
    vic.send({ type: 'presence', session: 's', state: { typing: true } }, { type: 'ping', nonce: 'here' })
    await vic.next('pong')
    const showsVic = async (): Promise<boolean> =>
      (await ann.next('presence')).members.some(({ user }) => user === 'vic')
    await expect.poll(showsVic).toBe(false)
    expect(vic.frames.slice(before).filter(({ type }) => type === 'presence')).toEqual([])
  })

  it('cannot send after a demotion to viewer', async () => {
    await annsSession()
    await invited('editor', 'bob')
    const bob = await enter('bob')
    await bob.next('live')
    expect(await code(ask('ann', '/members/bob', { method: 'PUT', body: { role: 'viewer' } }))).toBe(204)
    bob.send({ type: 'send', id: 'late', session: 's', content: 'hi' })
    expect(await bob.next('error', 'late')).toMatchObject({ code: 'forbidden' })
    expect(await code(ask('bob', '/messages', send()))).toBe('forbidden')
    expect(await code(ask('bob', '/events'))).toBe(200)
  })

  it('cannot use an invitation for another session', async () => {
    await annsSession()
    const token = await invited('owner', 'bob')
    const elsewhere = await harness.fetch('/v1/sessions/other/members', {
      method: 'POST',
      body: JSON.stringify({ token }),
      headers: { Authorization: `Bearer ${await tokenOf('bob')}`, 'Content-Type': 'application/json' },
    })
    expect(Problem.parse(await elsewhere.json()).code).toBe('invite_invalid')
  })
})
