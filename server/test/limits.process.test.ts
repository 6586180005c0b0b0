// Limits on real servers: a budget stops a run, applies to every transport, and survives a restart; no client can
// raise its own; concurrent runs and rates are counted over all transports; two nodes on one NATS share a budget.
import { connect } from 'node:net'
import { MeAnswer } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { TestClient } from '../transports/test/test-client.ts'

const SECRET = 'a secret of some length, for tests'
const DAY = 86_400_000
const ENV = { PARLEY_JWT_SECRET: SECRET, PARLEY_JWT_LIMITS_CLAIM: 'limits', PARLEY_DRAIN: '0' }
/** Uses more than any budget here, slowly enough that the server checks the budget several times. */
const LONG = '/demo count=20000 rate=400 ttft=0'

type Claims = { readonly runs?: number; readonly budget?: { readonly tokens: number; readonly windowMs: number } }

const started: ServerProcess[] = []
const clients: TestClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await Promise.all(started.splice(0).map((node) => node.dispose()))
})

async function start(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const node = await ServerProcess.start({ ...ENV, ...env })
  started.push(node)
  return node
}

function tokenOf(user: string, limits?: Claims): Promise<string> {
  const claims = limits === undefined ? {} : { limits }
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).setSubject(user).sign(Buffer.from(SECRET))
}

const tokens = (count: number): Claims => ({ budget: { tokens: count, windowMs: DAY } })

type Ask = (path: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<Response>

function asking(node: ServerProcess, token: string): Ask {
  return (path, body, headers = {}) =>
    fetch(`http://127.0.0.1:${node.port}${path}`, {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', ...headers },
    })
}

async function enter(node: ServerProcess, token: string): Promise<TestClient> {
  const client = new TestClient(node.url, { headers: { Authorization: `Bearer ${token}` } })
  clients.push(client)
  await client.opened
  client.send({ type: 'hello' })
  await client.next('welcome')
  return client
}

/** Sends over the WebSocket. @returns the code of a refusal, or ok */
async function sent(client: TestClient, id: string, session: string, content: string): Promise<string> {
  client.send({ type: 'send', id, session, content })
  return Promise.race([client.next('ok', id).then(() => 'ok'), client.next('error', id).then(({ code }) => code)])
}

/** The errors of a message over each transport of plain HTTP. */
async function refusals(ask: Ask): Promise<readonly unknown[]> {
  const answers = [
    await ask('/v1/sessions/refused/messages', { content: 'hi' }),
    await ask('/jobs', { session: 'refused', content: 'hi' }),
    await ask('/v1/chat/completions', { model: 'demo', messages: [{ role: 'user', content: 'hi' }] }),
    await ask('/v1/responses', { model: 'demo', input: 'hi' }),
  ]
  return Promise.all(
    answers.map(async (answer) => {
      const { code, error } = await answer.json()
      return [answer.status, code ?? error.code, answer.headers.has('retry-after')]
    }),
  )
}

async function me(ask: Ask): Promise<MeAnswer> {
  return MeAnswer.parse(await (await ask('/v1/me')).json())
}

describe('a budget', () => {
  it('stops a run, and refuses messages on every transport, also after a restart', async () => {
    const node = await start()
    const token = await tokenOf('ann', tokens(100))
    const ask = asking(node, token)
    const key = { 'Idempotency-Key': 'first' }
    const cut = await ask('/v1/sessions/s/messages', { content: LONG }, key)
    expect(cut.status).toBe(429)
    const { code, result } = await cut.json()
    expect(code).toBe('budget_exceeded')
    // The input is estimated, so the run stops a little early.
    expect(result.usage.outputTokens).toBeGreaterThan(50)
    expect(result.usage.outputTokens).toBeLessThanOrEqual(101)
    expect(JSON.stringify(result)).toContain(' 40 41 42')

    const client = await enter(node, token)
    expect(await sent(client, 'c1', 'other', 'hi')).toBe('budget_exceeded')
    const refused = [429, 'budget_exceeded', true]
    const ofOpenAi = [429, 'insufficient_quota', true]
    expect(await refusals(ask)).toEqual([refused, refused, ofOpenAi, ofOpenAi])
    expect(await me(ask)).toMatchObject({
      user: 'ann',
      budget: { tokens: 100, left: 0 },
      offers: { models: ['demo'], agents: [], tools: [] },
    })
    // A repeated command gets its original answer.
    expect((await (await ask('/v1/sessions/s/messages', { content: LONG }, key)).json()).code).toBe('budget_exceeded')
    expect(await sent(await enter(node, await tokenOf('bob', tokens(100))), 'c2', 'bobs', 'hi')).toBe('ok')

    await node.stop()
    await node.start()
    expect(await refusals(asking(node, token))).toEqual([refused, refused, ofOpenAi, ofOpenAi])
  })

  it('defaults to the server’s setting, and a session’s budget applies to all members', async () => {
    const node = await start({ PARLEY_BUDGET_USER: '1000/1d', PARLEY_BUDGET_SESSION: '120/1h' })
    const ask = asking(node, await tokenOf('ann'))
    const cut = await ask('/v1/sessions/s/messages', { content: LONG })
    expect((await cut.json()).code).toBe('budget_exceeded')
    const { budget } = await me(ask)
    expect(budget?.left).toBeGreaterThan(800)
    expect((await ask('/v1/sessions/s/messages', { content: 'hi' })).status).toBe(429)
    expect(MeAnswer.parse(await (await ask('/v1/me?session=s')).json()).sessionBudget?.left).toBe(0)
    expect((await ask('/v1/sessions/t/messages', { content: '/demo count=3 rate=0' })).status).toBe(200)
  })

  it('cannot be raised by fields of a request, or by a forged or malformed access token', async () => {
    const node = await start()
    const ask = asking(node, await tokenOf('ann', tokens(0)))
    const forgedLimits = { limits: tokens(1_000_000), budget: tokens(1_000_000).budget }
    expect((await ask('/v1/sessions/s/messages', { content: 'hi', ...forgedLimits })).status).toBe(429)
    expect((await ask('/jobs', { session: 's', content: 'hi', ...forgedLimits })).status).toBe(429)
    const client = await enter(node, await tokenOf('ann', tokens(0)))
    client.sendInvalid({ type: 'send', id: 'c1', session: 's', content: 'hi', ...forgedLimits })
    expect((await client.next('error', 'c1')).code).toBe('budget_exceeded')
    const [head, , signature] = (await tokenOf('ann', tokens(0))).split('.')
    const forged = Buffer.from(JSON.stringify({ sub: 'ann', limits: tokens(1_000_000) })).toString('base64url')
    expect((await asking(node, `${head}.${forged}.${signature}`)('/v1/me')).status).toBe(401)
    const odd = await tokenOf('ann', { runs: -1 })
    expect((await asking(node, odd)('/v1/me')).status).toBe(401)
  })
})

describe('concurrent runs', () => {
  it('are counted over all transports and sessions until they end', async () => {
    const node = await start({ PARLEY_USER_RUNS: '2' })
    const token = await tokenOf('ann')
    const ask = asking(node, token)
    const client = await enter(node, token)
    expect(await sent(client, 'c1', 's1', LONG)).toBe('ok')
    expect((await ask('/jobs', { session: 's2', content: LONG })).status).toBe(202)
    expect(await sent(client, 'c3', 's3', LONG)).toBe('too_many_runs')
    const refused = [429, 'too_many_runs', true]
    const ofOpenAi = [429, 'rate_limit_exceeded', true]
    expect(await refusals(ask)).toEqual([refused, refused, ofOpenAi, ofOpenAi])
    expect((await me(ask)).runs).toEqual({ active: 2, most: 2 })
    expect(await sent(await enter(node, await tokenOf('bob')), 'c4', 's4', 'hi')).toBe('ok')
    client.send({ type: 'cancel', id: 'c5', session: 's1' })
    await client.next('ok', 'c5')
    await expect.poll(async () => (await me(ask)).runs?.active, { timeout: 20_000 }).toBe(1)
    expect(await sent(client, 'c6', 's3', LONG)).toBe('ok')
  })
})

describe('by default', () => {
  it('one user has at most half of the runs of a node, so that others are served', async () => {
    const node = await start({ PARLEY_RUNS: '2' })
    const client = await enter(node, await tokenOf('ann'))
    expect(await sent(client, 'c1', 's1', LONG)).toBe('ok')
    expect(await sent(client, 'c2', 's2', LONG)).toBe('too_many_runs')
    const other = asking(node, await tokenOf('bob'))
    expect((await other('/v1/sessions/s3/messages', { content: '/demo count=3 rate=0' })).status).toBe(200)
    expect((await me(asking(node, await tokenOf('ann')))).runs).toBeUndefined()
  })
})

describe('rates', () => {
  it('are counted per user over all transports, and per address behind a trusted proxy', async () => {
    const node = await start({
      PARLEY_USER_RATE: '1',
      PARLEY_USER_BURST: '5',
      PARLEY_ADDRESS_RATE: '1',
      PARLEY_ADDRESS_BURST: '12',
      PARLEY_TRUSTED_PROXIES: '127.0.0.1',
    })
    const from = (address: string) => ({ 'X-Forwarded-For': `6.6.6.6, ${address}` })
    const ask = asking(node, await tokenOf('ann'))
    for (let i = 0; i < 4; i += 1) expect((await ask('/v1/me', undefined, from(`1.1.1.${i}`))).status).toBe(200)
    const client = await enter(node, await tokenOf('ann'))
    client.send({ type: 'attach', id: 'a1', session: 's' }, { type: 'attach', id: 'a2', session: 's' })
    client.send({ type: 'attach', id: 'a3', session: 's' })
    expect((await client.next('error')).code).toBe('rate_limited')
    expect((await ask('/v1/me', undefined, from('1.1.1.9'))).status).toBe(429)

    const statuses: number[] = []
    for (let i = 0; i < 16; i += 1) {
      const other = asking(node, await tokenOf(`user ${i}`))
      statuses.push((await other('/v1/me', undefined, from('2.2.2.2'))).status)
    }
    expect(statuses.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => 200))
    expect(statuses).toContain(429)
    expect((await asking(node, await tokenOf('bob'))('/v1/me', undefined, from('3.3.3.3'))).status).toBe(200)
  })

  it('use the client address in the PROXY protocol of a trusted proxy', async () => {
    const env = { PARLEY_ADDRESS_RATE: '1', PARLEY_ADDRESS_BURST: '2', PARLEY_TRUSTED_PROXIES: '127.0.0.1' }
    const node = await start(env)
    const token = await tokenOf('ann')
    const ask = (address: string) => askBehindProxy(node.port, address, token)
    expect([await ask('8.8.8.8'), await ask('8.8.8.8'), await ask('8.8.8.8')]).toEqual([200, 200, 429])
    expect(await ask('9.9.9.9')).toBe(200)
  })
})

/** Sends `GET /v1/me` after a header of the PROXY protocol, version 2: TCP over IPv4. */
function askBehindProxy(port: number, address: string, token: string): Promise<number> {
  const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
  const addresses = Buffer.from([...address.split('.').map(Number), 127, 0, 0, 1, 0x30, 0x39, 0x1f, 0x90])
  const header = Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, addresses.length]), addresses])
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', (data) => {
      resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(data.toString('latin1'))?.[1]))
      socket.destroy()
    })
    socket.write(
      Buffer.concat([header, Buffer.from(`GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`)]),
    )
  })
}

describe('two nodes', () => {
  let nats: NatsServer
  beforeAll(async () => {
    nats = await NatsServer.start()
  })
  afterAll(() => nats.dispose())

  it('share a budget and a count of runs, and the budget survives kill -9 of both', async () => {
    // One run per node, so that each node drives one.
    const env = { PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: 'limits', PARLEY_RUNS: '1' }
    const [here, there] = [await start({ ...env, PARLEY_NODE: 'here' }), await start({ ...env, PARLEY_NODE: 'there' })]
    const budget = 600
    const token = await tokenOf('ann', { runs: 2, ...tokens(budget) })
    const asks = [asking(here, token), asking(there, token)] as const
    const runs = asks.map((ask, i) => ask(`/v1/sessions/s${i}/messages`, { content: LONG }))
    await expect.poll(async () => (await me(asks[1])).runs?.active, { timeout: 20_000 }).toBe(2)
    await expect.poll(async () => (await me(asks[0])).runs?.active, { timeout: 20_000 }).toBe(2)
    const third = await enter(there, token)
    expect(await sent(third, 'c1', 's2', LONG)).toBe('too_many_runs')

    const ends = await Promise.all(runs.map(async (run) => (await run).json()))
    expect(ends.map(({ code }) => code)).toEqual(['budget_exceeded', 'budget_exceeded'])
    const used = ends.reduce((sum, { result }) => sum + result.usage.outputTokens, 0)
    // Two runs with 400 tokens per second each may overrun by a second; twice that on a busy machine.
    expect(used).toBeGreaterThan(budget / 2)
    expect(used).toBeLessThan(budget + 1_600)

    await expect.poll(async () => (await me(asks[1])).budget?.spent, { timeout: 20_000 }).toBeGreaterThanOrEqual(used)
    await Promise.all([here.kill(), there.kill()])
    await there.start()
    expect((await me(asks[1])).budget).toMatchObject({ left: 0 })
    expect((await asks[1]('/v1/sessions/s3/messages', { content: 'hi' })).status).toBe(429)
  })
})
