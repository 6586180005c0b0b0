// The first promise over mixed doors: people who change from door to door and from node to node at moments of chance, while
// nodes are killed under them, end with every byte of every run, once.
import { makeId } from '@parley/protocol'
import { afterAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount, pause, seeded, TEST_SEED } from './strict-client.ts'
import { DOORS } from './transports/all-transports.ts'
import { Holder } from './transports/holder.ts'
import { type Ask, TransportError } from './transports/transport.ts'

const PEOPLE = 40
const COUNT = 120
const RATE = 30
/** Milliseconds that one stays on a door, at most. */
const STAY_MS = 700
const KILLS_AFTER_MS = [1_200, 1_500]
/** A response makes a session of its own: one cannot come back to it by the message's key. */
const BEGINNERS = DOORS.filter(({ name }) => name !== 'OpenAI responses')
/** What a node may say that has just been killed, or is just coming up. */
const PASSING: ReadonlySet<string> = new Set(['unavailable', 'going_away', 'contended'])
const SETTINGS = { PARLEY_REQUEST_RATE: '100000', PARLEY_REQUEST_BURST: '100000', PARLEY_ACK_WAIT_MS: '1000' }

const started: { dispose(): Promise<void> }[] = []
afterAll(async () => {
  for (const one of started.reverse()) await one.dispose()
})

/** @returns how many doors it took */
async function person(nodes: readonly ServerProcess[], random: () => number): Promise<number> {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const ask: Ask = { session: makeId('s'), id: makeId('c'), content: `/demo count=${COUNT} rate=${RATE} ttft=0` }
  const holder = new Holder()
  let doors = 0
  while (!holder.hasEnd) {
    const door = pick(holder.run === '' ? BEGINNERS : DOORS)
    const node = `http://127.0.0.1:${pick(nodes).port}`
    try {
      // Begun again under its key, it is the run that it was.
      const reading =
        holder.run === ''
          ? (await door.begin(node, ask)).reading
          : await door.resume(node, ask, holder.run, holder.cursor)
      doors += 1
      const leave = setTimeout(() => reading.stop(), random() * STAY_MS)
      try {
        await holder.read(reading, () => holder.hasEnd)
      } finally {
        clearTimeout(leave)
        reading.stop()
      }
    } catch (error) {
      // It was left, or its node was killed. Everything else a door says counts.
      if (error instanceof TransportError && !PASSING.has(error.code)) throw error
      await pause(20 + random() * 80)
    }
  }
  holder.expectText(demoCount(COUNT))
  return doors
}

async function killEach(nodes: readonly ServerProcess[]): Promise<void> {
  for (const [at, ms] of KILLS_AFTER_MS.entries()) {
    await pause(ms)
    const node = nodes[at % nodes.length] as ServerProcess
    await node.kill()
    await node.start()
  }
}

async function expectAllWhole(nodes: readonly ServerProcess[], seed: number): Promise<void> {
  const random = seeded(seed)
  const people = Array.from({ length: PEOPLE }, () => person(nodes, seeded(Math.floor(random() * 1e9))))
  const [doors] = await Promise.all([Promise.all(people), killEach(nodes)])
  expect(doors.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(3 * PEOPLE)
}

describe(`people who change doors at random, and nodes that are killed (seed ${TEST_SEED})`, () => {
  it('lose nothing and get nothing twice on one node with the embedded log', async () => {
    const server = await ServerProcess.start(SETTINGS)
    started.push(server)
    await expectAllWhole([server], TEST_SEED)
  }, 60_000)

  it('lose nothing and get nothing twice on two nodes', async () => {
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
