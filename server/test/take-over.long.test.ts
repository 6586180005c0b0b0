// Take-over on real nodes: no node takes the runs of a healthy one, however busy the machine is, and those of a killed,
// frozen or cut-off node have one visible driver at a time, also while that node returns.
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { ParleyCluster, type ParleyNode } from '../../bench/cluster/parley-cluster.ts'
import { CountingReader } from '../../bench/harness/counting-reader.ts'
import { METRICS, Scrape } from './scrape.ts'

const SECONDS = Number(process.env.PARLEY_TEST_SECONDS ?? 180)
const SESSIONS = Number(process.env.PARLEY_TEST_SESSIONS ?? 100)
const BUSY = Number(process.env.PARLEY_TEST_BUSY ?? 2)
const RATE = 20
/** Answers of ten seconds. */
const COUNT = 200
/** Longer than the tests: nodes must notice without it that another one is dead. */
const ENV = { ...METRICS, PARLEY_ACK_WAIT_MS: '600000' }

let cluster: ParleyCluster
const busy: ChildProcess[] = []
afterEach(async () => {
  for (const child of busy.splice(0)) child.kill('SIGKILL')
  await cluster.dispose()
})

interface Answer {
  /** Undefined if it is whole. */
  readonly fault: string | undefined
  /** Drivers after the first one. */
  readonly takeOvers: number
}

/** Asks for one answer, and reads it to its end. */
async function answer(session: string, node: ParleyNode): Promise<Answer> {
  let takeOvers = 0
  let resolve: () => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const ended = new Promise<void>((ends, fails) => {
    resolve = ends
    reject = fails
  })
  const reader = new CountingReader(session, {
    takenOver: () => {
      takeOvers += 1
    },
    ended: () => resolve(),
    closed: () => reject(new Error(`${session}: the connection closed`)),
  })
  await reader.connect(node.server.port)
  await reader.ask(COUNT, RATE)
  await ended
  const fault = reader.verdict(COUNT)
  reader.close()
  return { fault, takeOvers }
}

async function verdictsOf(nodes: readonly ParleyNode[]): Promise<number> {
  const scrapes = await Promise.all(nodes.map(({ server }) => Scrape.of(server.port)))
  const counts = scrapes.flatMap((scrape) =>
    ['gone', 'silent'].map((outcome) => scrape.sum('parley_node_suspicions_total', { outcome })),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

describe('the runs of a healthy node', () => {
  it('stay there at full load, on a busy machine', { timeout: (SECONDS + 240) * 1_000 }, async () => {
    cluster = await ParleyCluster.start({ nodes: 3, env: ENV })
    for (let i = 0; i < BUSY; i += 1) busy.push(spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }))
    const until = performance.now() + SECONDS * 1_000
    const answers: Answer[] = []
    const ask = async (number: number): Promise<void> => {
      const node = cluster.nodes[number % cluster.nodes.length] as ParleyNode
      for (let round = 0; performance.now() < until; round += 1)
        answers.push(await answer(`healthy_${number}_${round}`, node))
    }
    await Promise.all(Array.from({ length: SESSIONS }, (_, number) => ask(number)))
    expect(answers.flatMap(({ fault }) => fault ?? [])).toEqual([])
    expect(answers.filter(({ takeOvers }) => takeOvers > 0)).toEqual([])
    expect(answers.length).toBeGreaterThanOrEqual(SESSIONS)
    expect(await verdictsOf(cluster.nodes)).toBe(0)
  })
})

describe('the runs of a node that fails', () => {
  const failures: Readonly<
    Record<string, readonly [fail: (node: ParleyNode) => unknown, (node: ParleyNode) => unknown]>
  > = {
    'is killed': [({ server }) => server.kill(), ({ server }) => server.start()],
    'is frozen': [({ server }) => server.stall(), ({ server }) => server.resume()],
    'is cut off': [(node) => node.setNatsNetwork({ kind: 'cut' }), (node) => node.setNatsNetwork({ kind: 'fair' })],
    'is cut off silently': [
      (node) => node.setNatsNetwork({ kind: 'silent' }),
      (node) => node.setNatsNetwork({ kind: 'fair' }),
    ],
  }

  it('have one visible driver at a time, and complete', { timeout: 600_000 }, async () => {
    cluster = await ParleyCluster.start({ nodes: 3, proxied: true, env: ENV })
    for (const [index, [how, [fail, repair]]] of Object.entries(failures).entries()) {
      const victim = cluster.nodes[index % cluster.nodes.length] as ParleyNode
      const other = cluster.nodes[(index + 1) % cluster.nodes.length] as ParleyNode
      const answers = Array.from({ length: SESSIONS }, (_, number) => answer(`failed_${index}_${number}`, other))
      // In the middle of the answers; the node returns before they end.
      await sleep(2_000)
      await fail(victim)
      await sleep(4_000)
      await repair(victim)
      const results = await Promise.all(answers)
      expect(
        results.flatMap(({ fault }) => fault ?? []),
        how,
      ).toEqual([])
      expect(results.filter(({ takeOvers }) => takeOvers > 0).length, how).toBeGreaterThan(0)
    }
  })
})
