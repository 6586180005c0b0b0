// The time that Parley adds to the first token: from a message on a socket to the first output on the same socket, with
// a model that answers immediately. It covers the command, its two appends, the queue, the driver, the prompt and the
// way back. Measured on the embedded log, and on two nodes: one with the sockets, one with the runs. `node
// bench/dist/first-token-bench.js [--asks 300] [--rate 20] [--rounds 5]`
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ParleyCluster, type ParleyClusterOptions } from './cluster/parley-cluster.ts'
import { CountingReader } from './harness/counting-reader.ts'
import { machine, summarize } from './harness/summary.ts'

const { values } = parseArgs({
  options: {
    /** Messages, each in a separate session. */
    asks: { type: 'string', default: '300' },
    /** Messages per second. */
    rate: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '5' },
  },
})
const ASKS = Number(values.asks)
const RATE = Number(values.rate)
const ROUNDS = Number(values.rounds)
const TOKENS = 20
const TOKENS_PER_SECOND = 20
const ENDED_MS = 10_000
/** The first messages do not count: V8 still compiles the code. */
const WARM_UP = 50

const LAYOUTS: Readonly<Record<string, ParleyClusterOptions>> = {
  'one node, embedded log': { nodes: 1, nats: 0 },
  'two nodes, one NATS server': { nodes: 2, nats: 1, roles: ['gateway', 'worker'] },
  'two nodes, three NATS servers': { nodes: 2, nats: 3, roles: ['gateway', 'worker'] },
}

/** Milliseconds. */
interface Round {
  readonly p50: number
  readonly p99: number
}

async function measure(options: ParleyClusterOptions): Promise<Round> {
  const cluster = await ParleyCluster.start({ ...options, execArgv: ['--max-semi-space-size=32'] })
  try {
    const port = cluster.nodes[0]?.server.port ?? 0
    const asked = new Map<CountingReader, number>()
    const waits: number[] = []
    let open = WARM_UP + ASKS
    let over: () => void = () => undefined
    const ended = new Promise<void>((resolve) => {
      over = resolve
    })
    const readers = Array.from({ length: open }, (_, number) => {
      return new CountingReader(`first_${number}`, {
        token: (reader) => {
          const at = asked.get(reader)
          if (at === undefined) return
          asked.delete(reader)
          if (number >= WARM_UP) waits.push(performance.now() - at)
        },
        ended: () => {
          open -= 1
          if (open === 0) over()
        },
      })
    })
    await Promise.all(readers.map((reader) => reader.connect(port)))
    // A Poisson process, as independent people produce it.
    let due = performance.now()
    const acknowledged = readers.map(async (reader) => {
      due += (-Math.log(1 - Math.random()) * 1_000) / RATE
      await sleep(Math.max(0, due - performance.now()))
      asked.set(reader, performance.now())
      await reader.ask(TOKENS, TOKENS_PER_SECOND)
    })
    await Promise.all(acknowledged)
    await Promise.race([ended, sleep(ENDED_MS)])
    for (const reader of readers) {
      const verdict = reader.verdict(TOKENS)
      if (verdict !== undefined) throw new Error(verdict)
      reader.close()
    }
    waits.sort((a, b) => a - b)
    const at = (part: number): number => waits[Math.floor(waits.length * part)] ?? Number.NaN
    return { p50: at(0.5), p99: at(0.99) }
  } finally {
    await cluster.dispose()
  }
}

console.log(
  `${machine()}, shared by all processes. ${ROUNDS} rounds in turn, ${ASKS} messages each, ${RATE} per second.`,
)
const results = new Map<string, Round[]>(Object.keys(LAYOUTS).map((name) => [name, []]))
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, options] of Object.entries(LAYOUTS)) results.get(name)?.push(await measure(options))
}
console.table(
  [...results].map(([layout, rounds]) => ({
    layout,
    'p50 ms': summarize(
      rounds.map(({ p50 }) => p50),
      2,
    ),
    'p99 ms': summarize(
      rounds.map(({ p99 }) => p99),
      2,
    ),
  })),
)
process.exit(0)
