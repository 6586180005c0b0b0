// The readers of a session, as its owners see them: on every transport and node, with those that are behind.
import { get, type IncomingMessage } from 'node:http'
import { Problem, ReadersAnswer } from '@parley/protocol'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import { afterEach, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { JetStreamScatterGather } from '../../store/jetstream/directory/scatter-gather.ts'
import type { ScatterGather } from '../../store/ports/scatter-gather.ts'
import { JetStreamHarness } from '../../store/test/jetstream-harness.ts'
import { TransportHarness } from '../test/transport-harness.ts'
import { readersRoute } from './inspection.ts'

const SECRET = 'a secret of some length, for tests'
const TEXT = 'x'.repeat(64_000)
/** More than the kernel buffers for a socket that is not read. */
const OUTPUTS = 200

const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function open(node: string, scatterGather?: ScatterGather): Promise<TransportHarness> {
  const harness = await TransportHarness.open({
    auth: { jwtSecret: SECRET },
    routes: (ports) => [readersRoute({ ...ports, node, scatterGather })],
  })
  closing.push(() => harness.close())
  return harness
}

async function bearer(user: string): Promise<{ Authorization: string }> {
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(user).sign(Buffer.from(SECRET))
  return { Authorization: `Bearer ${token}` }
}

async function attach(harness: TransportHarness, user: string): Promise<void> {
  const client = await harness.connect({ headers: await bearer(user) })
  client.send({ type: 'hello' }, { type: 'attach', id: 'a', session: 's' })
  await client.next('live')
}

async function stream(harness: TransportHarness, user: string, accept: string): Promise<IncomingMessage> {
  const headers = { ...(await bearer(user)), Accept: accept, 'Parley-Connection': 'phone-1' }
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${harness.origin}/v1/sessions/s/events`, { headers, agent: false }, resolve).on('error', reject)
  })
  answer.on('error', () => undefined)
  closing.push(() => void answer.destroy())
  return answer
}

async function readers(harness: TransportHarness, user = 'ann'): Promise<ReadersAnswer> {
  const answer = await harness.fetch('/v1/sessions/s/readers', { headers: await bearer(user) })
  expect(answer.status).toBe(200)
  return ReadersAnswer.parse(await answer.json())
}

it('shows owners the transport, position and backlog of each reader', async () => {
  const harness = await open('node-a')
  await attach(harness, 'ann')
  const slow = await stream(harness, 'ann', 'application/x-ndjson')
  slow.pause()
  const polled = harness.fetch('/v1/sessions/s/events?wait=30', { headers: await bearer('ann') })
  await harness.startRun('s', 'run_1')
  expect((await polled).status).toBe(200)
  await harness.say('s', 'run_1', 0, OUTPUTS, () => TEXT)
  await expect
    .poll(async () => (await readers(harness)).readers.map(({ door, state }) => `${door} ${state}`))
    .toEqual(['ndjson behind', 'websocket live'])
  const answer = await readers(harness)
  expect(answer).toMatchObject({ count: 2, nodes: ['node-a'] })
  const [behind, live] = answer.readers
  expect(behind).toMatchObject({ user: 'ann', connection: 'phone-1', node: 'node-a' })
  expect(behind?.unsentBytes).toBeGreaterThan(64 * 1024)
  expect(behind?.behindMs).toBeGreaterThan(0)
  expect(live).toMatchObject({ unsentBytes: 0, cursor: await harness.stores.log.head('s') })
  slow.destroy()
  await expect.poll(async () => (await readers(harness)).count).toBe(1)
})

it('refuses everyone who is not an owner', async () => {
  const harness = await open('node-a')
  await attach(harness, 'ann')
  const code = async (path: string, user: string): Promise<string> => {
    const answer = await harness.fetch(path, { headers: await bearer(user) })
    return Problem.parse(await answer.json()).code
  }
  expect(await code('/v1/sessions/s/readers', 'eve')).toBe('forbidden')
  expect(await code('/v1/sessions/nowhere/readers', 'ann')).toBe('session_not_found')
  for (const role of ['editor', 'approver', 'viewer'] as const) {
    const all = { connection: 'c', role: 'owner' }
    const { token } = await harness.service.invite('s', { ...all, user: 'ann' }, role, 60_000)
    await harness.service.join('s', { ...all, user: role }, token)
    expect(await code('/v1/sessions/s/readers', role)).toBe('forbidden')
  }
})

it('asks all nodes, over a real NATS', async () => {
  const server = await NatsServer.start()
  closing.push(() => server.dispose())
  const logger = pino({ enabled: false })
  const nats = await JetStreamHarness.open(server)
  closing.push(() => nats.close())
  const join = () => new JetStreamScatterGather(nats.stores.connection, nats.prefix, logger)
  const a = await open('node-a', join())
  const b = await open('node-b', join())
  await attach(a, 'ann')
  await attach(b, 'ann')
  // Malformed answers are ignored.
  join().respondWith(async () => ({ node: 'node-c', readers: 'many' }))
  for (const [own, other] of [
    [a, 'node-b'],
    [b, 'node-a'],
  ] as const) {
    const { readers: all, count, nodes } = await readers(own)
    expect(count).toBe(2)
    expect(nodes.slice(1)).toEqual([other])
    expect(all.map(({ node }) => node).sort()).toEqual(['node-a', 'node-b'])
  }
})
