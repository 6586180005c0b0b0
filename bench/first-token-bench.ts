// What Parley adds before the first token: from a person's message on its socket to the first output on the same
// socket, with a model that answers at once, so that all of it is ours: the command, its two appends, the queue, the owner, the
// prompt, and the way back. On the embedded log, and across two nodes of which one has the sockets and the other the run.
// `node bench/dist/first-token-bench.js [--asks 300] [--rate 20] [--rounds 5]`
import { parseArgs } from 'node:util'
import { ParleyCluster, type ParleyClusterOptions } from './cluster/parley-cluster.ts'
import { CountingReader } from './harness/counting-reader.ts'
import { machine } from './harness/machine.ts'
import { spread } from './harness/spread.ts'

const { values } = parseArgs({
  options: {
    /** Messages, each in a session of its own. */
    asks: { type: 'string', default: '300' },
    /** Messages a second. */
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
/** Messages of which nothing is reported: until then code is being compiled. */
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
    // At moments that know nothing of each other, as people's are.
    let due = performance.now()
    const acknowledged = readers.map(async (reader) => {
      due += (-Math.log(1 - Math.random()) * 1_000) / RATE
      await sleep(due - performance.now())
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

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
}

console.log(`${machine()}, shared by all processes. ${ROUNDS} rounds in turn, ${ASKS} messages each, ${RATE} a second.`)
const results = new Map<string, Round[]>(Object.keys(LAYOUTS).map((name) => [name, []]))
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, options] of Object.entries(LAYOUTS)) results.get(name)?.push(await measure(options))
}
console.table(
  [...results].map(([layout, rounds]) => ({
    layout,
    'p50 ms': spread(
      rounds.map(({ p50 }) => p50),
      2,
    ),
    'p99 ms': spread(
      rounds.map(({ p99 }) => p99),
      2,
    ),
  })),
)
process.exit(0)
