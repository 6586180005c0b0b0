// How long an answer stands still when its node dies: three nodes, kill -9 of one after the other, and at the readers,
// who are connected elsewhere, the time from the kill to the next token of each run that the dead one owned.
// Every run has to end with every token. `node bench/dist/failover-bench.js [--kills 20] [--nats 1|3]`
import { parseArgs } from 'node:util'
import { ParleyCluster, type ParleyNode } from './cluster/parley-cluster.ts'
import { CountingReader } from './harness/counting-reader.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    sessions: { type: 'string', default: '60' },
    nats: { type: 'string', default: '1' },
  },
})
const KILLS = Number(values.kills)
const SESSIONS = Number(values.sessions)
const RATE = 10
/** Six seconds: an answer has not ended when its node is killed. */
const COUNT = 60
/** Answers begin at any time within this, so that they are killed at any point of their owner's life signs. */
const SPREAD_MS = 4_000
const BEFORE_MS = 500
const ENDED_MS = 60_000

interface Gap {
  /** Milliseconds from the kill. */
  readonly started: number
  readonly token: number
}

const cluster = await ParleyCluster.start({ nats: values.nats === '3' ? 3 : 1, nodes: 3 })
const gaps: Gap[] = []
const problems: string[] = []
try {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const victim = cluster.nodes[kill % cluster.nodes.length] as ParleyNode
    const door = cluster.nodes[(kill + 1) % cluster.nodes.length] as ParleyNode
    const found = await killOnce(kill, victim, door)
    gaps.push(...found)
    const slowest = Math.max(0, ...found.map(({ token }) => token))
    console.log(`kill ${kill + 1} of ${victim.name}: ${found.length} runs taken over, the last after ${ms(slowest)}`)
  }
} finally {
  await cluster.dispose()
}
report()

/** Of each run that changed hands, how long it stood still. */
async function killOnce(kill: number, victim: ParleyNode, door: ParleyNode): Promise<Gap[]> {
  const started = new Map<CountingReader, number>()
  const spoken = new Map<CountingReader, number>()
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
        if (started.has(reader) && !spoken.has(reader)) spoken.set(reader, performance.now() - killed)
      },
      ended: (reader) => {
        if (ended.add(reader).size === SESSIONS) allEnded()
      },
    })
  })
  await Promise.all(readers.map((reader) => reader.connect(door.server.port)))
  await Promise.all(
    readers.map(async (reader, number) => {
      await sleep((number / SESSIONS) * SPREAD_MS)
      await reader.ask(COUNT, RATE)
    }),
  )
  await sleep(BEFORE_MS)
  killed = performance.now()
  await victim.server.kill()
  await Promise.race([over, sleep(ENDED_MS)])
  for (const reader of readers) {
    const verdict = reader.verdict(COUNT)
    if (verdict !== undefined) problems.push(verdict)
    reader.close()
  }
  await victim.server.start()
  return readers.flatMap((reader): Gap[] => {
    const [at, token] = [started.get(reader), spoken.get(reader)]
    return at === undefined || token === undefined ? [] : [{ started: at, token }]
  })
}

function report(): void {
  const tokens = gaps.map(({ token }) => token)
  const starts = gaps.map(({ started }) => started)
  console.log(`\n${KILLS} kills, ${gaps.length} of ${KILLS * SESSIONS} runs changed hands; from kill -9 to`)
  console.table({
    'the new owner': row(starts),
    'its first token at the readers': row(tokens),
  })
  console.log(problems.length === 0 ? 'Every run ended, with every token.' : problems.slice(0, 20).join('\n'))
  process.exitCode = problems.length === 0 && gaps.length > 0 ? 0 : 1
}

function row(numbers: readonly number[]) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const at = (part: number): string => ms(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0)
  return { p50: at(0.5), p99: at(0.99), most: at(1) }
}

function ms(number: number): string {
  return `${number.toFixed(0)} ms`
}

function sleep(length: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, length).unref())
}
