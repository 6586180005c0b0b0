// nodes-bench: the latency from the model to a reader's socket across two nodes. A worker drives the runs, a gateway
// has the WebSockets, and one nats-server is between them. For comparison, in the same run and at the same rate: the
// minimum with NATS, a publish with a compare and a subscription to the republished subject. `node
// bench/dist/nodes-bench.js [--rounds 3] [--loads 500x10,50x100] [--profile]`
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openJetStreamStores } from '@parley/server/internal/store/jetstream/stores'
import { appendAtRate, bareAppend, makeSessions } from './append-load.ts'
import { NatsServer } from './cluster/nats-server.ts'
import { BenchChild } from './harness/bench-child.ts'
import type { FromServer, ToServer } from './harness/bench-message.ts'
import { machine, summarize } from './harness/summary.ts'
import { busySeconds } from './harness/usage.ts'
import type { FromFollower, ToFollower } from './jetstream-bench.ts'
import type { FromPeerReaders, ToPeerReaders } from './peers/peer-message.ts'

interface Load {
  readonly runs: number
  /** Tokens per second of each run. */
  readonly rate: number
}

interface Measured {
  readonly perSecond: number
  /** Milliseconds from the model (or publisher) to the socket (or subscription). */
  readonly p50: number
  readonly p99: number
  /** Microseconds of CPU per token. */
  readonly cpu: { readonly from: number; readonly to: number; readonly nats: number }
  /** Share of the machine that other processes used, 0 to 1. */
  readonly others: number
}

type ServerChild = BenchChild<ToServer, FromServer>
type Kind = 'bare' | 'parley'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '6' },
    loads: { type: 'string', default: '500x10,50x100' },
    kinds: { type: 'string', default: 'bare,parley' },
    profile: { type: 'boolean', default: false },
    /** Percent of the machine: a round in which other processes used more is repeated, a few times. */
    others: { type: 'string', default: '10' },
    /** V8's semi-space of the nodes, in MB. */
    'semi-space': { type: 'string', default: '32' },
  },
})
const SECONDS = Number(values.seconds)
const WARM_UP_MS = 2_000
/** Milliseconds over which runs begin, so that their periodic work, such as compaction, does not coincide. */
const SPREAD_MS = 5_000
const TRIES = 5
const CALM_LOOKS = 60
const OTHERS = Number(values.others) / 100

const nats = await NatsServer.start()
let round = 0
try {
  console.log(`${machine()}, shared by all processes.`)
  for (const text of values.loads.split(',')) {
    const [runs = 0, rate = 0] = text.split('x').map(Number)
    await compare({ runs, rate })
  }
} finally {
  await nats.dispose()
}

async function compare(load: Load): Promise<void> {
  const results: Record<Kind, Measured[]> = { bare: [], parley: [] }
  const kinds = values.kinds.split(',') as Kind[]
  const rounds = Number(values.rounds)
  let disturbed = 0
  for (let i = 0; i < rounds * TRIES && kinds.some((kind) => results[kind].length < rounds); i += 1) {
    for (const kind of kinds) {
      if (results[kind].length === rounds) continue
      round += 1
      await calm()
      const result = await (kind === 'bare' ? measureBare(load, `bare${round}`) : measureNodes(load, `parley${round}`))
      if (result.others > OTHERS) disturbed += 1
      else results[kind].push(result)
    }
  }
  console.log(
    `\n${load.runs} runs at ${load.rate} tokens/s each; medians of ${rounds} rounds (min–max); ${disturbed} rounds were disturbed by other processes`,
  )
  console.table(Object.fromEntries(kinds.map((kind) => [kind, row(results[kind])])))
}

/** Resolves when other processes are quiet for a second, or after a limit. */
async function calm(): Promise<void> {
  for (let looks = 0; looks < CALM_LOOKS; looks += 1) {
    const before = busySeconds()
    await sleep(1_000)
    if (share(busySeconds() - before, 1) < OTHERS) return
  }
}

async function measureNodes(load: Load, prefix: string): Promise<Measured> {
  const { runs, rate } = load
  const worker = await serve('worker', prefix)
  const gateway = await serve('gateway', prefix)
  const readers = new BenchChild<ToPeerReaders, FromPeerReaders>('peers/readers-process.js')
  await readers.ask({ ask: 'connect', port: gateway.port, peer: 'parley', sockets: runs, topics: runs })
  const count = Math.ceil(rate * (SECONDS + (WARM_UP_MS + SPREAD_MS) / 1_000 + 2))
  await readers.ask({ ask: 'send', text: `/bench count=${count} rate=${rate}`, topics: runs, spreadMs: SPREAD_MS })
  await sleep(WARM_UP_MS)
  await readers.ask({ ask: 'clear' })
  const look = async () => [await usage(worker.child), await usage(gateway.child), nats.cpuSeconds(), busySeconds()]
  const before = await look()
  const began = performance.now()
  await sleep(SECONDS * 1_000)
  const after = await look()
  const answer = await readers.ask({ ask: 'report' })
  const seconds = (performance.now() - began) / 1_000
  await readers.ask({ ask: 'close' })
  readers.process.disconnect()
  await worker.child.stop({ ask: 'stop' })
  await gateway.child.stop({ ask: 'stop' })
  if (!('report' in answer)) throw new Error('unexpected answer of the readers')
  const { outputs, p50, p99, cpu: reading } = answer.report
  const [from = 0, to = 0, between = 0, all = 0] = after.map((value, index) => value - (before[index] ?? 0))
  const own = (from + to + reading) / 1e6 + between
  const each = (micros: number): number => micros / Math.max(1, outputs)
  const cpu = { from: each(from), to: each(to), nats: each(between * 1e6) }
  return { perSecond: outputs / seconds, p50, p99, cpu, others: share(all - own, seconds) }
}

async function serve(role: string, prefix: string): Promise<{ readonly child: ServerChild; readonly port: number }> {
  const settings = { PARLEY_ROLE: role, PARLEY_NODE: role, PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: prefix }
  const child: ServerChild = new BenchChild('harness/parley-process.js', {
    args: [JSON.stringify(settings)],
    profile: values.profile,
    semiSpace: Number(values['semi-space']),
  })
  const ready = await child.next()
  if (!('port' in ready)) throw new Error('the node did not report its port')
  return { child, port: ready.port }
}

async function usage(child: ServerChild): Promise<number> {
  const answer = await child.ask({ ask: 'usage' })
  if (!('cpu' in answer)) throw new Error('unexpected answer of the node')
  return answer.cpu
}

/** The publisher is this process. */
async function measureBare({ runs, rate }: Load, prefix: string): Promise<Measured> {
  const stores = await openJetStreamStores({ connection: { servers: [nats.url] }, streams: { prefix } })
  const append = bareAppend(stores.connection.nats, prefix)
  const follower = new BenchChild<ToFollower, FromFollower>('jetstream-bench.js', {
    args: ['follow', 'bare', nats.url, prefix, '--sessions', `${runs}`],
  })
  await follower.next()
  const sessions = makeSessions(runs)
  await appendAtRate(sessions, append, runs * rate, WARM_UP_MS / 1_000, () => undefined)
  follower.send('begin')
  const before = [process.cpuUsage(), nats.cpuSeconds(), busySeconds()] as const
  await appendAtRate(sessions, append, runs * rate, SECONDS, () => undefined)
  const { user, system } = process.cpuUsage(before[0])
  const natsMicros = (nats.cpuSeconds() - before[1]) * 1e6
  const busy = busySeconds() - before[2]
  const { count, p50, p99, micros } = await follower.ask('end')
  await stores.close()
  const cpu = { from: (user + system) / count, to: micros / count, nats: natsMicros / count }
  const own = (user + system + micros + natsMicros) / 1e6
  return { perSecond: count / SECONDS, p50, p99, cpu, others: share(busy - own, SECONDS) }
}

function share(others: number, seconds: number): number {
  return Math.max(0, others) / (cpus().length * seconds)
}

function row(results: readonly Measured[]): Record<string, string> {
  const of = (pick: (result: Measured) => number, digits: number): string => summarize(results.map(pick), digits)
  return {
    'tokens/s': of((result) => result.perSecond, 0),
    'p50 ms': of((result) => result.p50, 2),
    'p99 ms': of((result) => result.p99, 2),
    'sender, µs CPU': of((result) => result.cpu.from, 1),
    'receiver, µs CPU': of((result) => result.cpu.to, 1),
    'nats-server, µs CPU': of((result) => result.cpu.nats, 1),
    'others, %': of((result) => result.others * 100, 0),
  }
}
