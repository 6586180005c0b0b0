// npm run bench:peers: compares Parley with a bare uWebSockets.js publisher (the lower bound), ws, Socket.IO with
// connection state recovery, and SSE on node:http with resumable-stream, round by round in turn. All publish the same
// bytes at the same rate; only Parley stores them first. Then a tenth of the connections is cut and reconnects, and
// lost outputs are counted. Separate parts measure the memory of idle connections, Parley under overload, and the
// embedded log alone. npm run bench: Parley and the bare publisher only, with overload and log.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BenchChild } from '../harness/bench-child.ts'
import type { FromServer, ToServer } from '../harness/bench-message.ts'
import { machine, summarize } from '../harness/summary.ts'
import { benchDriver, benchLog, logBenchTable } from '../log-bench.ts'
import {
  type FromPeerReaders,
  type Judgement,
  PEERS,
  type Peer,
  type PeerReport,
  type ToPeerReaders,
} from './peer-message.ts'

interface Scenario {
  readonly name: string
  readonly sockets: number
  readonly topics: number
  /** Outputs per second of each topic. */
  readonly rate: number
  /**
   * Milliseconds for all sessions to start. Parley stores a message, queues a run and starts a driver for each; the
   * others have nothing to start. The comparison is about the cost of outputs, so it begins after that.
   */
  readonly warmUpMs: number
}

interface Measured extends PeerReport {
  /** Microseconds of the server's CPU per delivered output. */
  readonly cpuPerOutput: number
  readonly perSecond: number
  /** Resident bytes of the server. */
  readonly rss: number
  /** Undefined if no connection was cut. */
  readonly judgement: Judgement | undefined
}

type Server = BenchChild<ToServer, FromServer>
type Readers = BenchChild<ToPeerReaders, FromPeerReaders>

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    /** Any of `fan-out`, `many`, `crowd`, `idle`, `overload`, `log`. */
    only: { type: 'string', default: 'fan-out,many,crowd,idle' },
    peers: { type: 'string', default: PEERS.join(',') },
    /** The number of idle connections. */
    idle: { type: 'string', default: '5000' },
    json: { type: 'boolean', default: false },
  },
})
const ROUNDS = Number(values.rounds)
const SECONDS = Number(values.seconds)
const IDLE = Number(values.idle)
/** One in `every` connections is cut within `withinMs`, and reconnects after about `backMs`. */
const CUT = { every: 10, withinMs: 1_000, backMs: 500 }
const AFTER_CUT_MS = 3_000
const SETTLE_MS = 1_500

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'fan-out': { name: '1 session, 1,000 readers, 20 outputs/s', sockets: 1_000, topics: 1, rate: 20, warmUpMs: 1_500 },
  crowd: {
    name: '10,000 sessions, 1 reader each, 50,000 outputs/s',
    sockets: 10_000,
    topics: 10_000,
    rate: 5,
    warmUpMs: 15_000,
  },
  many: {
    name: '2,000 sessions, 1 reader each, 10,000 outputs/s',
    sockets: 2_000,
    topics: 2_000,
    rate: 5,
    warmUpMs: 5_000,
  },
}

const FILES: Readonly<Record<Peer, string>> = {
  parley: 'harness/parley-process.js',
  bare: 'peers/bare-peer.js',
  ws: 'peers/ws-peer.js',
  'socket.io': 'peers/socket-io-peer.js',
  sse: 'peers/sse-peer.js',
}
const NAMES: Readonly<Record<Peer, string>> = {
  parley: 'Parley (stored)',
  bare: 'bare uWS',
  ws: 'ws',
  'socket.io': 'Socket.IO',
  sse: 'SSE, resumable',
}
const peers = PEERS.filter((peer) => values.peers.split(',').includes(peer))

async function launch(peer: Peer, sockets: number, topics: number): Promise<[Server, Readers]> {
  const server: Server = new BenchChild(FILES[peer])
  const ready = await server.next()
  if (!('port' in ready)) throw new Error('the server did not report its port')
  const readers: Readers = new BenchChild('peers/readers-process.js')
  const before = { ask: 'connect', peer, port: ready.port, topics } as const
  await readers.ask({ ...before, sockets })
  return [server, readers]
}

async function end(server: Server, readers: Readers): Promise<void> {
  await readers.ask({ ask: 'close' })
  readers.process.disconnect()
  await server.stop({ ask: 'stop' })
}

async function usage(server: Server, collected?: true): Promise<{ cpu: number; rss: number }> {
  const answer = await server.ask(collected === undefined ? { ask: 'usage' } : { ask: 'usage', collected })
  if (!('cpu' in answer)) throw new Error('unexpected answer of the server')
  return answer
}

async function measure(peer: Peer, { sockets, topics, rate, warmUpMs }: Scenario, cuts = true): Promise<Measured> {
  const [server, readers] = await launch(peer, sockets, topics)
  const seconds = Math.ceil((warmUpMs + CUT.withinMs + CUT.backMs * 2 + AFTER_CUT_MS) / 1_000) + SECONDS
  const outputs = seconds * rate
  if (peer === 'parley') await readers.ask({ ask: 'send', text: `/bench count=${outputs} rate=${rate}`, topics })
  else server.send({ ask: 'publish', load: { topics, rate, seconds } })
  const published = sleep(seconds * 1_000 + SETTLE_MS)
  await sleep(warmUpMs)
  await readers.ask({ ask: 'clear' })
  const before = await usage(server)
  const began = performance.now()
  await sleep(SECONDS * 1_000)
  const after = await usage(server)
  const answer = await readers.ask({ ask: 'report' })
  const elapsed = (performance.now() - began) / 1_000
  let judgement: Judgement | undefined
  if (cuts) {
    await readers.ask({ ask: 'cut', ...CUT })
    await published
    judgement = await judged(readers, outputs)
  }
  await end(server, readers)
  if (!('report' in answer)) throw new Error('unexpected answer of the readers')
  const { report } = answer
  return {
    ...report,
    cpuPerOutput: (after.cpu - before.cpu) / Math.max(1, report.outputs),
    perSecond: report.outputs / elapsed,
    rss: after.rss,
    judgement,
  }
}

/** Polls until the number of lost outputs no longer changes. */
async function judged(readers: Readers, outputs: number): Promise<Judgement> {
  for (let before = Number.POSITIVE_INFINITY; ; await sleep(SETTLE_MS)) {
    const answer = await readers.ask({ ask: 'judge', outputs })
    if (!('judgement' in answer)) throw new Error('unexpected answer of the readers')
    const { lost } = answer.judgement
    if (lost === 0 || lost === before) return answer.judgement
    before = lost
  }
}

type Round = (pick: (result: Measured) => number, digits: number) => string

function columns(of: Round): Record<string, string> {
  return {
    'outputs/s': of((result) => result.perSecond, 0),
    'CPU µs/output': of((result) => result.cpuPerOutput, 1),
    'p50 ms': of((result) => result.p50, 2),
    'p99 ms': of((result) => result.p99, 2),
    'outputs/message': of((result) => result.outputs / Math.max(1, result.messages), 2),
    'RSS MB': of((result) => result.rss / 1_048_576, 0),
  }
}

async function compare(scenario: Scenario): Promise<void> {
  const results = new Map<Peer, Measured[]>(peers.map((peer) => [peer, []]))
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const peer of peers) results.get(peer)?.push(await measure(peer, scenario))
  }
  const bare = results.get('bare') ?? []
  console.log(`\n${scenario.name}`)
  console.table(
    [...results].map(([peer, rounds]) => {
      const ratios = rounds.map((result, round) => result.cpuPerOutput / (bare[round]?.cpuPerOutput ?? Number.NaN))
      const sum = (pick: (judgement: Judgement) => number): number =>
        rounds.reduce((total, { judgement }) => total + (judgement === undefined ? 0 : pick(judgement)), 0)
      return {
        server: NAMES[peer],
        ...columns((pick, digits) => summarize(rounds.map(pick), digits)),
        'ratio to bare uWS': bare.length === 0 ? '–' : summarize(ratios, 2),
        cuts: sum(({ cuts }) => cuts),
        'lost after cuts': sum(({ lost }) => lost),
        repeated: sum(({ repeated }) => repeated),
      }
    }),
  )
  if (values.json) console.log(JSON.stringify({ scenario, results: Object.fromEntries(results) }))
}

/** Parley alone, with more and more outputs. The readers share the cores, so the last loads are more than it can do. */
async function overload(): Promise<void> {
  console.log('\n2,000 sessions, 1 reader each, rising load; median of at most three rounds')
  const rows: Record<string, string>[] = []
  for (const rate of [5, 10, 20, 40, 80]) {
    const rounds: Measured[] = []
    const scenario = { ...(SCENARIOS.many as Scenario), rate }
    for (let round = 0; round < Math.min(3, ROUNDS); round += 1) rounds.push(await measure('parley', scenario, false))
    const offered = (rate * scenario.topics).toLocaleString('en')
    rows.push({ 'offered/s': offered, ...columns((pick, digits) => summarize(rounds.map(pick), digits)) })
  }
  console.table(rows)
}

async function log(): Promise<void> {
  console.log('\nThe embedded log alone, including fsync')
  const results = [
    await benchLog(100, 100, SECONDS),
    await benchLog(1_000, 500, SECONDS),
    await benchDriver(10_000, 2_000, SECONDS),
    await benchLog(10_000, 2_000, SECONDS),
    await benchLog(0, 2_000, SECONDS),
  ]
  console.log(logBenchTable(results))
}

/** The growth of the server's memory per connection, in bytes. */
async function idleBytes(peer: Peer): Promise<number> {
  const server: Server = new BenchChild(FILES[peer], { fullYoung: true })
  const ready = await server.next()
  if (!('port' in ready)) throw new Error('the server did not report its port')
  const connect = { ask: 'connect', peer, port: ready.port } as const
  // The first connections allocate shared structures and do not count.
  const first: Readers = new BenchChild('peers/readers-process.js')
  await first.ask({ ...connect, sockets: 100, topics: 100 })
  await sleep(SETTLE_MS)
  const before = await usage(server, true)
  const readers: Readers = new BenchChild('peers/readers-process.js')
  await readers.ask({ ...connect, sockets: IDLE, topics: IDLE })
  await sleep(SETTLE_MS)
  const after = await usage(server, true)
  await first.ask({ ask: 'close' })
  first.process.disconnect()
  await end(server, readers)
  return (after.rss - before.rss) / IDLE
}

async function idle(): Promise<void> {
  const results = new Map<Peer, number[]>(peers.map((peer) => [peer, []]))
  for (let round = 0; round < Math.min(3, ROUNDS); round += 1) {
    for (const peer of peers) results.get(peer)?.push((await idleBytes(peer)) / 1_024)
  }
  console.log(`\nResident memory of the server per connection, with ${IDLE.toLocaleString('en')} idle connections`)
  console.table([...results].map(([peer, rounds]) => ({ server: NAMES[peer], kB: summarize(rounds, 1) })))
}

console.log(`${machine()}. ${ROUNDS} rounds of ${SECONDS} s each, in turn; median (min–max).`)
console.log('Server and readers share the cores. Only Parley stores its outputs.')
const parts = values.only.split(',')
for (const [name, scenario] of Object.entries(SCENARIOS)) if (parts.includes(name)) await compare(scenario)
if (parts.includes('overload')) await overload()
if (parts.includes('log')) await log()
if (parts.includes('idle')) await idle()
process.exit(0)
