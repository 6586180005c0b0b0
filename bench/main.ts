// npm run bench: compares the cost of Parley with a bare uWebSockets.js publisher of the same bytes at the same rate,
// round by round in turn: (a) one session with 1,000 readers, (b) 2,000 sessions with one reader each, (c) overload,
// (d) the log alone. Reports medians and ratios.
import { cpus, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BenchChild } from './harness/bench-child.ts'
import type { FromReaders, FromServer, Report, ToReaders, ToServer } from './harness/bench-message.ts'
import { summarize } from './harness/summary.ts'
import { benchDriver, benchLog, logBenchTable } from './log-bench.ts'

interface Scenario {
  readonly name: string
  readonly sockets: number
  readonly topics: number
  /** Tokens per second of each topic. */
  readonly rate: number
}

interface Measured extends Report {
  /** Microseconds of the server's CPU per delivered token. */
  readonly cpuPerToken: number
  readonly perSecond: number
  readonly offered: number
  readonly rss: number
}

type Kind = 'parley' | 'bare'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '6' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    /** `stream`: tokens pass through Node's ReadableStream, as with a provider; otherwise through a plain queue. */
    source: { type: 'string', default: 'queue' },
  },
})
const ROUNDS = Number(values.rounds)
const SECONDS = Number(values.seconds)
const WARM_UP_MS = 1_500

const FAN_OUT: Scenario = { name: 'a: 1 session, 1,000 readers, 20 tokens/s', sockets: 1_000, topics: 1, rate: 20 }
const MANY: Scenario = {
  name: 'b: 2,000 sessions, 1 reader each, 10,000 tokens/s',
  sockets: 2_000,
  topics: 2_000,
  rate: 5,
}
const LOADS = [5, 10, 20, 40, 80].map(
  (rate): Scenario => ({
    name: `c: 2,000 sessions, ${(rate * 2_000).toLocaleString('en')} tokens/s offered`,
    sockets: 2_000,
    topics: 2_000,
    rate,
  }),
)

/** With `--profile`, each Parley server writes a .cpuprofile to the working directory. */
function child<To, From>(file: string): BenchChild<To, From> {
  const profile = values.profile && file.includes('parley')
  return new BenchChild(file, { profile, env: { PARLEY_BENCH_SOURCE: values.source } })
}

async function usage(server: BenchChild<ToServer, FromServer>): Promise<{ cpu: number; rss: number }> {
  const answer = await server.ask({ ask: 'usage' })
  if (!('cpu' in answer)) throw new Error('unexpected answer of the server')
  return answer
}

async function measure(kind: Kind, scenario: Scenario): Promise<Measured> {
  const server = child<ToServer, FromServer>(kind === 'parley' ? 'harness/parley-process.js' : 'peers/bare-peer.js')
  const ready = await server.next()
  if (!('port' in ready)) throw new Error('the server did not report its port')
  const readers = child<ToReaders, FromReaders>('harness/reader-process.js')
  await readers.ask({ ask: 'connect', port: ready.port, kind, sockets: scenario.sockets, topics: scenario.topics })
  const seconds = SECONDS + WARM_UP_MS / 1_000 + 2
  const load = { topics: scenario.topics, rate: scenario.rate, seconds }
  if (kind === 'bare') server.send({ ask: 'publish', load })
  else await startRuns(readers, scenario, seconds)
  await sleep(WARM_UP_MS)
  await readers.ask({ ask: 'clear' })
  const before = await usage(server)
  const began = performance.now()
  await sleep(SECONDS * 1_000)
  const after = await usage(server)
  const answer = await readers.ask({ ask: 'report' })
  const elapsed = (performance.now() - began) / 1_000
  await readers.ask({ ask: 'close' })
  readers.process.disconnect()
  await server.stop({ ask: 'stop' })
  if (!('report' in answer)) throw new Error('unexpected answer of the readers')
  const { report } = answer
  return {
    ...report,
    cpuPerToken: (after.cpu - before.cpu) / Math.max(1, report.tokens),
    perSecond: report.tokens / elapsed,
    offered: scenario.sockets * scenario.rate,
    rss: after.rss,
  }
}

async function startRuns(
  readers: BenchChild<ToReaders, FromReaders>,
  scenario: Scenario,
  seconds: number,
): Promise<void> {
  const text = `/bench count=${Math.ceil(scenario.rate * seconds)} rate=${scenario.rate}`
  await readers.ask({ ask: 'send', text, topics: scenario.topics })
}

function row(name: string, results: readonly Measured[]): Record<string, string> {
  const of = (pick: (result: Measured) => number, digits = 1): string => summarize(results.map(pick), digits)
  return {
    server: name,
    'tokens/s': of((result) => result.perSecond, 0),
    'CPU µs/token': of((result) => result.cpuPerToken, 2),
    'p50 ms': of((result) => result.p50, 2),
    'p99 ms': of((result) => result.p99, 2),
    'tokens/message': of((result) => result.tokens / Math.max(1, result.messages), 2),
    'RSS MB': of((result) => result.rss / 1_048_576, 0),
  }
}

async function compare(scenario: Scenario, goal: number): Promise<void> {
  const results: Record<Kind, Measured[]> = { parley: [], bare: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const kind of ['parley', 'bare'] as const) results[kind].push(await measure(kind, scenario))
  }
  console.log(`\n${scenario.name}`)
  console.table([row('Parley', results.parley), row('bare uWS', results.bare)])
  const ratios = results.parley.map(
    (result, round) => result.cpuPerToken / (results.bare[round]?.cpuPerToken ?? Number.NaN),
  )
  console.log(
    `CPU per delivered token, Parley / bare uWS, round by round: ${summarize(ratios, 2)}; goal: at most ${goal}`,
  )
  if (values.json) console.log(JSON.stringify({ scenario, results, ratios }))
}

async function overload(): Promise<void> {
  console.log('\nc: overload (readers and server share the cores)')
  const rows: Record<string, string>[] = []
  for (const scenario of LOADS) {
    const results: Measured[] = []
    for (let round = 0; round < Math.min(3, ROUNDS); round += 1) results.push(await measure('parley', scenario))
    rows.push(row(`${(scenario.rate * scenario.sockets).toLocaleString('en')} offered`, results))
  }
  console.table(rows)
}

async function logAlone(): Promise<void> {
  console.log('\nd: the log alone, including fsync')
  const sessions = 2_000
  const results = [
    await benchDriver(10_000, sessions, SECONDS),
    await benchLog(10_000, sessions, SECONDS),
    await benchLog(0, sessions, SECONDS),
  ]
  console.log(logBenchTable(results))
}

console.log(
  `${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 1024 ** 3).toFixed(0)} GB, Node ${process.version}`,
)
console.log(`${ROUNDS} rounds of ${SECONDS} s each, in turn; median (min–max). Server and readers share the cores.`)
console.log(
  `Token source: ${values.source}. (\`--source stream\` adds the cost of Node's ReadableStream, about 3 µs per token.)`,
)
const wanted = (part: string): boolean => values.only === undefined || values.only.includes(part)
if (wanted('a')) await compare(FAN_OUT, 1.2)
if (wanted('b')) await compare(MANY, 3)
if (wanted('c')) await overload()
if (wanted('d')) await logAlone()
process.exit(0)
