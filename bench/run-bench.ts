// What a run costs besides its tokens, on the embedded log: CPU from its message to its end, and memory while it is active. For
// docs/performance.md. `node bench/dist/run-bench.js [--rounds 5] [--sessions 2000] [--before path/of/another/parley-process.js]`
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { BenchChild } from './harness/bench-child.ts'
import type { FromServer, ToServer } from './harness/bench-message.ts'
import { machine, median, summarize } from './harness/summary.ts'
import type { FromPeerReaders, PeerReport, ToPeerReaders } from './peers/peer-message.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    sessions: { type: 'string', default: '2000' },
    /** Runs of each session, one after the other. */
    runs: { type: 'string', default: '3' },
    /** The server process of an older build, which is measured in turn. */
    before: { type: 'string' },
  },
})
const SESSIONS = Number(values.sessions)
const RUNS = Number(values.runs)
/** Time over which the sessions' messages are spread: about 330 runs per second. */
const SPREAD_MS = SESSIONS * 3
const SETTLE_MS = 3_000
/** Active runs have produced some tokens. */
const ACTIVE_MS = 15_000

type Server = BenchChild<ToServer, FromServer>
type Readers = BenchChild<ToPeerReaders, FromPeerReaders>

interface Round {
  /** Milliseconds of all threads for one run of one token. */
  readonly cpu: number
  /** Kilobytes of an active run with one reader, beyond the idle session and its reader. */
  readonly memory: number
}

async function usageOf(server: Server, collected?: true): Promise<{ readonly cpu: number; readonly rss: number }> {
  const answer = await server.ask({ ask: 'usage', ...(collected === undefined ? {} : { collected }) })
  if (!('cpu' in answer)) throw new Error('unexpected answer of the server')
  return answer
}

async function reportOf(readers: Readers): Promise<PeerReport> {
  const answer = await readers.ask({ ask: 'report' })
  if (!('report' in answer)) throw new Error('unexpected answer of the readers')
  return answer.report
}

/** A server with one reader per session. */
async function connected(file: string | URL): Promise<[Server, Readers]> {
  const server: Server = new BenchChild(file, { fullYoung: true })
  const ready = await server.next()
  if (!('port' in ready)) throw new Error('the server did not report its port')
  const readers: Readers = new BenchChild('peers/readers-process.js')
  await readers.ask({ ask: 'connect', peer: 'parley', port: ready.port, sockets: SESSIONS, topics: SESSIONS })
  return [server, readers]
}

async function end(server: Server, readers: Readers): Promise<void> {
  await readers.ask({ ask: 'close' })
  readers.process.disconnect()
  await server.stop({ ask: 'stop' })
}

async function cpuPerRun(file: string | URL): Promise<number> {
  const [server, readers] = await connected(file)
  const short = { ask: 'send', text: '/bench count=1 rate=1000', topics: SESSIONS, spreadMs: SPREAD_MS } as const
  // The first runs compile the code and create the sessions.
  await readers.ask(short)
  await sleep(SETTLE_MS)
  await readers.ask({ ask: 'clear' })
  const before = await usageOf(server)
  for (let run = 0; run < RUNS; run += 1) await readers.ask(short)
  await sleep(SETTLE_MS)
  const after = await usageOf(server)
  const { outputs } = await reportOf(readers)
  if (outputs !== SESSIONS * RUNS) throw new Error(`${outputs} of ${SESSIONS * RUNS} runs had their token`)
  await end(server, readers)
  return (after.cpu - before.cpu) / outputs / 1_000
}

async function memoryPerRun(file: string | URL): Promise<number> {
  const [server, readers] = await connected(file)
  const idle = await usageOf(server, true)
  await readers.ask({ ask: 'send', text: '/bench count=100000 rate=1', topics: SESSIONS, spreadMs: SPREAD_MS })
  await sleep(ACTIVE_MS)
  const active = await usageOf(server, true)
  await end(server, readers)
  return (active.rss - idle.rss) / SESSIONS / 1_024
}

const builds = new Map<string, string | URL>([['this build', 'harness/parley-process.js']])
if (values.before !== undefined) builds.set('before', pathToFileURL(values.before))
const rounds = new Map([...builds.keys()].map((name): [string, Round[]] => [name, []]))
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const [name, file] of builds) {
    rounds.get(name)?.push({ cpu: await cpuPerRun(file), memory: await memoryPerRun(file) })
  }
}
console.log(`${machine()}, shared with the readers. ${SESSIONS} sessions with one reader; median (min–max).`)
console.table(
  [...rounds].map(([name, own]) => ({
    build: name,
    'ms of CPU per run of one token': summarize(
      own.map(({ cpu }) => cpu),
      2,
    ),
    'kB per active run': summarize(
      own.map(({ memory }) => memory),
      1,
    ),
  })),
)
const [now = [], old = []] = [...rounds.values()]
if (old.length > 0) {
  const ratio = (pick: (round: Round) => number): string => (median(now.map(pick)) / median(old.map(pick))).toFixed(2)
  console.log(`Ratio: CPU ${ratio(({ cpu }) => cpu)}, memory ${ratio(({ memory }) => memory)}`)
}
process.exit(0)
