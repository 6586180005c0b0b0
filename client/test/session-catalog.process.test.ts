// Tests the requests without a connection against a real server: the list of sessions, deletion, also of open sessions,
// and the user's limits.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import type { ClientOptions } from '../client-options.ts'
import { ParleyClient } from '../parley-client.ts'
import { ParleyError } from '../parley-error.ts'
import { until } from './until.ts'

let server: ServerProcess
const clients: ParleyClient[] = []

beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_BUDGET_USER: '1000000/1d', PARLEY_USER_RUNS: '40' })
})
afterAll(() => server.dispose())
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
})

function clientOf(options: Partial<ClientOptions> = {}): ParleyClient {
  const client = new ParleyClient({ url: server.url, ...options })
  clients.push(client)
  return client
}

it('lists the sessions page by page', async () => {
  const client = clientOf()
  for (const id of ['l1', 'l2', 'l3']) await client.session(id).send('/demo text=hi').accepted
  await expect.poll(async () => (await client.sessions()).sessions.length, { timeout: 20_000 }).toBe(3)
  const first = await client.sessions({ limit: 2 })
  const second = await client.sessions({ limit: 2, before: first.next ?? '' })
  const ids = [...first.sessions, ...second.sessions].map(({ session }) => session)
  expect([...ids].sort()).toEqual(['l1', 'l2', 'l3'])
  expect(second.next).toBeUndefined()
  await expect(client.sessions({ before: 'nonsense' })).rejects.toBeInstanceOf(ParleyError)
})

it.each(['websocket', 'sse', 'long-poll'] as const)(
  'deletes a session that is open over %s, where it ends',
  async (transport) => {
    const [owner, other] = [clientOf(), clientOf({ transport })]
    const id = `d_${transport}`
    await owner.session(id).send('hi').accepted
    const session = other.session(id)
    await until(session, ({ status, messages }) => status === 'live' && messages.length > 0)
    await owner.deleteSession(id)
    await until(session, ({ status }) => status === 'offline')
    expect(session.state.error?.code).toBe('session_deleted')
    await expect(owner.deleteSession(id)).rejects.toMatchObject({ code: 'session_deleted' })
    await expect(other.session(id).send('again').accepted).rejects.toMatchObject({ code: 'session_deleted' })
  },
)

it('reports the user’s limits and the rest of the budget', async () => {
  const client = clientOf()
  const { user, budget, sessionBudget, runs } = await client.me()
  expect([user, sessionBudget, runs?.most]).toEqual(['anonymous', undefined, 40])
  expect(budget).toMatchObject({ tokens: 1_000_000, windowMs: 86_400_000 })
  expect(budget?.resetsAt).toBeGreaterThan(Date.now())
  await client.session('m1').send('/demo count=20 rate=0').result()
  await expect
    .poll(async () => (await client.me('m1')).budget?.left, { timeout: 20_000 })
    .toBeLessThan(budget?.left ?? 0)
  await expect(client.me('not an id')).rejects.toMatchObject({ code: 'invalid_frame' })
})
