// The first promise over mixed transports: clients that change transports and nodes at random moments, while nodes are
// killed, receive every byte of every run once.
import { setTimeout as sleep } from 'node:timers/promises'
import { makeId } from '@parley/protocol'
import { afterAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount, seeded, TEST_SEED } from './strict-client.ts'
import { TRANSPORTS } from './transports/all-transports.ts'
import { Receiver } from './transports/receiver.ts'
import { type MessageRequest, TransportError } from './transports/transport-driver.ts'

const CLIENTS = 40
const COUNT = 120
const RATE = 30
/** Longest time on one transport, in milliseconds. */
const STAY_MS = 700
const KILLS_AFTER_MS = [1_200, 1_500]
/** Transports that can start a run. A response creates its own session, so the message's key does not find it. */
const STARTERS = TRANSPORTS.filter(({ name }) => name !== 'OpenAI responses')
/** Errors of a node that was just killed or is starting. */
const TRANSIENT: ReadonlySet<string> = new Set(['unavailable', 'going_away', 'contended'])
const SETTINGS = { PARLEY_REQUEST_RATE: '100000', PARLEY_REQUEST_BURST: '100000', PARLEY_ACK_WAIT_MS: '1000' }

const started: { dispose(): Promise<void> }[] = []
afterAll(async () => {
  for (const one of started.reverse()) await one.dispose()
})

/** Reads a run over random transports and nodes. @returns the number of transports it used */
async function readAtRandom(nodes: readonly ServerProcess[], random: () => number): Promise<number> {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const message: MessageRequest = {
    session: makeId('s'),
    id: makeId('c'),
    content: `/demo count=${COUNT} rate=${RATE} ttft=0`,
  }
  const receiver = new Receiver()
  let transports = 0
  while (!receiver.hasEnd) {
    const transport = pick(receiver.run === '' ? STARTERS : TRANSPORTS)
    const node = `http://127.0.0.1:${pick(nodes).port}`
    try {
      // A start with the same key finds the same run.
      const reading =
        receiver.run === ''
          ? (await transport.begin(node, message)).reading
          : await transport.resume(node, message, receiver.run, receiver.cursor)
      transports += 1
      const disconnect = setTimeout(() => reading.stop(), random() * STAY_MS)
      try {
        await receiver.read(reading, () => receiver.hasEnd)
      } finally {
        clearTimeout(disconnect)
        reading.stop()
      }
    } catch (error) {
      // The reading was stopped, or its node was killed. Any other error is a failure.
      if (error instanceof TransportError && !TRANSIENT.has(error.code)) throw error
      await sleep(20 + random() * 80)
    }
  }
  receiver.expectText(demoCount(COUNT))
  return transports
}

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
  const clients = Array.from({ length: CLIENTS }, () => readAtRandom(nodes, seeded(Math.floor(random() * 1e9))))
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
