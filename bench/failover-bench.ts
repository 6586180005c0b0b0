// Failover time: three nodes fail one after the other. Measures, at readers on another node, the time from the failure to
// the next token of each run that the node drove. Every run must complete with every token. `node
// bench/dist/failover-bench.js [--by kill|stop|cut|silent] [--kills 20] [--nats 1|3]`. `stop`: SIGSTOP. `cut`: its
// connection to NATS breaks, and it cannot connect again. `silent`: nothing passes, but NATS keeps the connection.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ParleyCluster, type ParleyNode } from './cluster/parley-cluster.ts'
import { CountingReader } from './harness/counting-reader.ts'

interface Failure {
  fail(node: ParleyNode): Promise<void> | void
  repair(node: ParleyNode): Promise<void> | void
}

const FAILURES = {
  kill: { fail: ({ server }) => server.kill(), repair: ({ server }) => server.start() },
  stop: { fail: ({ server }) => server.stall(), repair: ({ server }) => server.resume() },
  cut: {
    fail: (node) => node.setNatsNetwork({ kind: 'cut' }),
    repair: (node) => node.setNatsNetwork({ kind: 'fair' }),
  },
  silent: {
    fail: (node) => node.setNatsNetwork({ kind: 'silent' }),
    repair: (node) => node.setNatsNetwork({ kind: 'fair' }),
  },
} satisfies Record<string, Failure>

const { values } = parseArgs({
  options: {
    by: { type: 'string', default: 'kill' },
    kills: { type: 'string', default: '20' },
    sessions: { type: 'string', default: '60' },
    nats: { type: 'string', default: '1' },
  },
})
const BY = Object.keys(FAILURES).find((by) => by === values.by) as keyof typeof FAILURES | undefined
if (BY === undefined) throw new Error(`--by must be one of ${Object.keys(FAILURES).join(', ')}`)
const { fail, repair } = FAILURES[BY]
const KILLS = Number(values.kills)
const SESSIONS = Number(values.sessions)
const RATE = 10
/** Six seconds: a run is still active when its node is killed. */
const COUNT = 60
/** Runs start at any time within this period, so that kills happen at any point of the driver's heartbeat. */
const SPREAD_MS = 4_000
const BEFORE_MS = 500
const ENDED_MS = 60_000

interface Gap {
  /** Milliseconds since the failure. */
  readonly started: number
  readonly token: number
}

const cluster = await ParleyCluster.start({
  nats: values.nats === '3' ? 3 : 1,
  nodes: 3,
  proxied: BY === 'cut' || BY === 'silent',
})
const gaps: Gap[] = []
const problems: string[] = []
try {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const victim = cluster.nodes[kill % cluster.nodes.length] as ParleyNode
    const readersNode = cluster.nodes[(kill + 1) % cluster.nodes.length] as ParleyNode
    const found = await killOnce(kill, victim, readersNode)
    gaps.push(...found)
    const slowest = Math.max(0, ...found.map(({ token }) => token))
    console.log(`${BY} ${kill + 1} of ${victim.name}: ${found.length} runs taken over, the last after ${ms(slowest)}`)
  }
} finally {
  await cluster.dispose()
}
report()

/** @returns the pause of each run that was taken over */
async function killOnce(kill: number, victim: ParleyNode, readersNode: ParleyNode): Promise<Gap[]> {
  const started = new Map<CountingReader, number>()
  const resumed = new Map<CountingReader, number>()
  const ended = new Set<CountingReader>()
  let killed = 0
  let allEnded: () => void = () => undefined
  const over = new Promise<void>((resolve) => {
    allEnded = resolve
  })
  const readers = Array.from({ length: SESSIONS }, (_, number) => {
    return new CountingReader(`failover_${kill}_${number}`, {
      takenOver: (reader) => started.set(reader, performance.now() - killed),
      token: (reader) => {
        if (started.has(reader) && !resumed.has(reader)) resumed.set(reader, performance.now() - killed)
      },
      ended: (reader) => {
        if (ended.add(reader).size === SESSIONS) allEnded()
      },
    })
  })
  await Promise.all(readers.map((reader) => reader.connect(readersNode.server.port)))
  await Promise.all(
    readers.map(async (reader, number) => {
      await sleep((number / SESSIONS) * SPREAD_MS)
      await reader.ask(COUNT, RATE)
    }),
  )
  await sleep(BEFORE_MS)
  killed = performance.now()
  await fail(victim)
  await Promise.race([over, sleep(ENDED_MS, undefined, { ref: false })])
  for (const reader of readers) {
    const verdict = reader.verdict(COUNT)
    if (verdict !== undefined) problems.push(verdict)
    reader.close()
  }
  await repair(victim)
  return readers.flatMap((reader): Gap[] => {
    const [at, token] = [started.get(reader), resumed.get(reader)]
    return at === undefined || token === undefined ? [] : [{ started: at, token }]
  })
}

function report(): void {
  const tokens = gaps.map(({ token }) => token)
  const starts = gaps.map(({ started }) => started)
  console.log(
    `\n${KILLS} kills, ${gaps.length} of ${KILLS * SESSIONS} runs were taken over; time from the failure (${BY}) to`,
  )
  console.table({
    'the start of the new driver': row(starts),
    'its first token at the readers': row(tokens),
  })
  console.log(problems.length === 0 ? 'All runs completed with every token.' : problems.slice(0, 20).join('\n'))
  process.exitCode = problems.length === 0 && gaps.length > 0 ? 0 : 1
}

function row(numbers: readonly number[]) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const at = (part: number): string => ms(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0)
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function ms(number: number): string {
  return `${number.toFixed(0)} ms`
}
