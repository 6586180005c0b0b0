// The first promise over mixed transports: clients that change transports and nodes at random moments, while nodes are
// killed, receive every byte of every run once.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { seeded, TEST_SEED } from './strict-client.ts'
import { readAtRandom } from './transports/hopping-reader.ts'

const CLIENTS = 40
const COUNT = 120
const RATE = 30
/** Longest time on one transport, in milliseconds. */
const STAY_MS = 700
const KILLS_AFTER_MS = [1_200, 1_500]
const SETTINGS = { PARLEY_REQUEST_RATE: '100000', PARLEY_REQUEST_BURST: '100000', PARLEY_ACK_WAIT_MS: '1000' }

const started: { dispose(): Promise<void> }[] = []
afterAll(async () => {
  for (const one of started.reverse()) await one.dispose()
})

async function killEach(nodes: readonly ServerProcess[]): Promise<void> {
  for (const [at, ms] of KILLS_AFTER_MS.entries()) {
    await sleep(ms)
    const node = nodes[at % nodes.length] as ServerProcess
    await node.kill()
    await node.start()
  }
}

async function expectAllWhole(nodes: readonly ServerProcess[], seed: number): Promise<void> {
  const random = seeded(seed)
  const urls = nodes.map(({ port }) => `http://127.0.0.1:${port}`)
  const each = { nodes: urls, count: COUNT, rate: RATE, stayMs: STAY_MS }
  const clients = Array.from({ length: CLIENTS }, () =>
    readAtRandom({ ...each, random: seeded(Math.floor(random() * 1e9)) }),
  )
  const [transports] = await Promise.all([Promise.all(clients), killEach(nodes)])
  expect(transports.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(3 * CLIENTS)
}

describe(`clients that change transports at random, and nodes that are killed (seed ${TEST_SEED})`, () => {
  it('receive everything once on one node with the embedded log', async () => {
    const server = await ServerProcess.start(SETTINGS)
    started.push(server)
    await expectAllWhole([server], TEST_SEED)
  }, 60_000)

  it('receive everything once on two nodes', async () => {
    const nats = await NatsServer.start()
    started.push(nats)
    const settings = { ...SETTINGS, PARLEY_NATS_URL: nats.url }
    const nodes = await Promise.all(
      ['one', 'two'].map((name) => ServerProcess.start({ ...settings, PARLEY_NODE: name })),
    )
    started.push(...nodes)
    await expectAllWhole(nodes, TEST_SEED)
  }, 60_000)
})
