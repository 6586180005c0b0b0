// Presence over real nodes and a real NATS: clients see each other across nodes, and disappear with their node.
import type { Presence } from '@parley/protocol'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { StrictClient } from './strict-client.ts'

let nats: NatsServer
let nodes: readonly ServerProcess[]

beforeAll(async () => {
  nats = await NatsServer.start()
  const settings = { PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: 'presence', PARLEY_DRAIN: '1' }
  const names = ['node1', 'node2', 'node3']
  nodes = await Promise.all(names.map((name) => ServerProcess.start({ ...settings, PARLEY_NODE: name })))
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.dispose()))
  await nats.dispose()
})

async function attachTo(node: ServerProcess | undefined): Promise<StrictClient> {
  const client = new StrictClient(node?.url ?? '')
  await client.connect()
  await client.attach('s')
  return client
}

async function sees(client: StrictClient, matches: (frame: Presence) => boolean): Promise<Presence> {
  return (await client.frame((frame) => frame.type === 'presence' && matches(frame))) as Presence
}

it('a client is visible on every node, and disappears with a stopped or killed node', async () => {
  const [first, second, third] = nodes
  const here = await attachTo(first)
  const three = sees(here, ({ count }) => count === 3)
  const there = await attachTo(second)
  await attachTo(third)
  await three
  const typing = sees(here, ({ members }) => members[0]?.state.typing === true)
  there.show('s', { typing: true })
  expect((await typing).count).toBe(3)
  const two = sees(here, ({ count }) => count === 2)
  await third?.stop()
  await two
  const alone = sees(here, ({ count }) => count === 1)
  const killedAt = performance.now()
  await second?.kill()
  expect((await alone).members).toHaveLength(1)
  expect(performance.now() - killedAt).toBeLessThan(15_000)
}, 40_000)
