// A relay under everything at once: three nodes on NATS of which one after the other is killed, replaced or paused; a relay that dies;
// and a relay that is attacked. `PARLEY_TEST_RUNS` and `PARLEY_TEST_KILLS` change the size.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { RelayedRuns } from './relayed-runs.ts'

const RUNS = Number(process.env.PARLEY_TEST_RUNS ?? 200)
const KILLS = Number(process.env.PARLEY_TEST_KILLS ?? 60)
/** Runs at the same time. */
const AT_ONCE = 12
const TOKEN_MS = 40

let nats: NatsServer
let runs: RelayedRuns | undefined
let prefixes = 0

beforeAll(async () => {
  nats = await NatsServer.start()
})
afterAll(() => nats.dispose())
afterEach(async () => {
  await runs?.dispose()
  runs = undefined
})

async function start(env: Readonly<Record<string, string>> = {}): Promise<RelayedRuns> {
  prefixes += 1
  const cluster = { PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: `relay${prefixes}`, PARLEY_ACK_WAIT_MS: '1000' }
  return RelayedRuns.start(3, { ...cluster, ...env }, TOKEN_MS)
}

/** Keeps some runs active until `count` have begun. @param disturb is called again and again, until it returns false */
async function disturbed(own: RelayedRuns, count: number, disturb: (at: number) => Promise<boolean>): Promise<void> {
  let begun = 0
  let isOver = false
  const beginning = async (): Promise<void> => {
    while (begun < count || !isOver) {
      if (begun - own.ended >= AT_ONCE) {
        await sleep(20)
        continue
      }
      await own.begin(`run${begun}`)
      begun += 1
    }
  }
  const disturbing = async (): Promise<void> => {
    for (let at = 0; await disturb(at); at += 1);
    isOver = true
  }
  await Promise.all([beginning(), disturbing()])
  await own.finished()
}

/** Resolves when the provider has sent some more tokens. */
async function more(own: RelayedRuns, tokens: number): Promise<void> {
  const before = own.provider.tokens
  while (own.provider.tokens < before + tokens) await sleep(5)
}

it(
  'continues every answer of killed owners: the provider gets one request per model call',
  async () => {
    const own = await start()
    runs = own
    await disturbed(own, RUNS, async (at) => {
      if (at >= KILLS) return false
      await more(own, 20 + Math.floor(Math.random() * 40))
      const node = own.nodes[at % own.nodes.length]
      await node?.kill()
      await node?.start()
      return true
    })
    await own.expectWhole()
    const resumed = await own.resumed()
    process.stdout.write(
      `${own.ended} runs, ${KILLS} kills, ${resumed} responses continued, ${own.provider.tokens} tokens billed\n`,
    )
    expect(resumed).toBeGreaterThan(KILLS / 2)
  },
  30 * 60_000,
)

it(
  'continues every answer while all nodes are replaced',
  async () => {
    const own = await start({ PARLEY_DRAIN: '1' })
    runs = own
    await disturbed(own, 30, async (at) => {
      if (at >= 2 * own.nodes.length) return false
      await more(own, 40)
      const node = own.nodes[at % own.nodes.length]
      expect(await node?.stop()).toBe(0)
      await node?.start()
      return true
    })
    await own.expectWhole()
    expect(await own.resumed()).toBeGreaterThan(0)
  },
  10 * 60_000,
)

it(
  'continues every answer of paused owners, which then learn that they were replaced',
  async () => {
    const own = await start()
    runs = own
    await disturbed(own, 30, async (at) => {
      if (at >= 2 * own.nodes.length) return false
      await more(own, 40)
      const node = own.nodes[at % own.nodes.length]
      node?.stall()
      const before = await own.resumed()
      // The others take its runs over.
      for (let waits = 0; waits < 400 && (await own.resumed()) === before; waits += 1) await sleep(25)
      node?.resume()
      return true
    })
    await own.expectWhole()
    expect(await own.resumed()).toBeGreaterThan(0)
  },
  10 * 60_000,
)

it(
  'ends every run when the relay is killed within the answers, and uses it again',
  async () => {
    const own = await start({ PARLEY_COMPATIBLE_PREFILL: 'ask' })
    runs = own
    await disturbed(own, 20, async (at) => {
      if (at >= 3) return false
      await more(own, 100)
      await own.relay.kill()
      await more(own, 20)
      await own.relay.start()
      return true
    })
    own.expectEnded()
  },
  10 * 60_000,
)
