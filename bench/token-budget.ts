// The cost of one token from the model to the socket, by stage, in µs of CPU and allocated bytes, on the embedded log.
// V8's samplers add some cost, so the total without them is printed as well. For docs/performance.md. `node
// bench/dist/token-budget.js [--sessions 2000] [--rate 5] [--rounds 5] [--seconds 5] [--warm-up 3]`
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BenchChild } from './harness/bench-child.ts'
import type { FromServer, Stages, ToServer } from './harness/bench-message.ts'
import { machine, summarize } from './harness/summary.ts'
import type { FromPeerReaders, PeerReport, ToPeerReaders } from './peers/peer-message.ts'

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '2000' },
    /** Tokens per second of each session. */
    rate: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    /** Duration of each of the three measurements of a round. */
    seconds: { type: 'string', default: '5' },
    /** Seconds for all sessions to start; 10,000 need 15. */
    'warm-up': { type: 'string', default: '3' },
  },
})
const SESSIONS = Number(values.sessions)
const RATE = Number(values.rate)
const ROUNDS = Number(values.rounds)
const MS = Number(values.seconds) * 1_000
const WARM_UP_MS = Number(values['warm-up']) * 1_000

interface Round {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Tokens per WebSocket message: more than one if they arrive faster than they are sent. */
  readonly merged: number
  /** Per token: µs of all threads without a profiler; µs of the main thread, and bytes, by stage. */
  readonly cpu: number
  readonly time: Stages
  readonly bytes: Stages
}

type Server = BenchChild<ToServer, FromServer>
type Readers = BenchChild<ToPeerReaders, FromPeerReaders>

async function cpuOf(server: Server): Promise<number> {
  const answer = await server.ask({ ask: 'usage' })
  if (!('cpu' in answer)) throw new Error('unexpected answer of the server')
  return answer.cpu
}

async function stagesOf(server: Server, what: 'time' | 'bytes'): Promise<Stages> {
  const answer = await server.ask({ ask: 'profile', what, ms: MS })
  if (!('stages' in answer)) throw new Error('unexpected answer of the server')
  return answer.stages
}

/** Runs `work`, and returns what the readers received meanwhile. */
async function during<T>(readers: Readers, work: () => Promise<T>): Promise<[T, PeerReport]> {
  await readers.ask({ ask: 'clear' })
  const result = await work()
  const answer = await readers.ask({ ask: 'report' })
  if (!('report' in answer)) throw new Error('unexpected answer of the readers')
  return [result, answer.report]
}

async function measure(): Promise<Round> {
  const server: Server = new BenchChild('harness/parley-process.js')
  const ready = await server.next()
  if (!('port' in ready)) throw new Error('the server did not report its port')
  const readers: Readers = new BenchChild('peers/readers-process.js')
  await readers.ask({ ask: 'connect', peer: 'parley', port: ready.port, sockets: SESSIONS, topics: SESSIONS })
  const seconds = (WARM_UP_MS + 3 * MS) / 1_000 + 5
  await readers.ask({ ask: 'send', text: `/bench count=${seconds * RATE} rate=${RATE}`, topics: SESSIONS })
  await sleep(WARM_UP_MS)
  const [cpu, plain] = await during(readers, async () => {
    const before = await cpuOf(server)
    await sleep(MS)
    return (await cpuOf(server)) - before
  })
  const [time, timed] = await during(readers, () => stagesOf(server, 'time'))
  const [bytes, sampled] = await during(readers, () => stagesOf(server, 'bytes'))
  await readers.ask({ ask: 'close' })
  readers.process.disconnect()
  await server.stop({ ask: 'stop' })
  const { outputs, messages, p50, p99 } = plain
  return {
    perSecond: outputs / (MS / 1_000),
    p50,
    p99,
    merged: outputs / messages,
    cpu: cpu / outputs,
    time: each(time, (value) => value / timed.outputs),
    bytes: each(bytes, (value) => value / sampled.outputs),
  }
}

function each(stages: Stages, change: (value: number) => number): Stages {
  return Object.fromEntries(Object.entries(stages).map(([stage, value]) => [stage, change(value)]))
}

console.log(`${machine()}, shared with the readers. ${SESSIONS} sessions, ${RATE} tokens/s each; median (min–max).`)
const rounds: Round[] = []
for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure())
const of = (pick: (round: Round) => number, digits: number): string => summarize(rounds.map(pick), digits)
const stages = [...new Set(rounds.flatMap(({ time, bytes }) => [...Object.keys(time), ...Object.keys(bytes)]))]
const median = (stage: string): number =>
  rounds.map(({ time }) => time[stage] ?? 0).sort((a, b) => a - b)[rounds.length >> 1] ?? 0
console.table(
  stages
    .filter((stage) => stage !== 'idle')
    .sort((a, b) => median(b) - median(a))
    .map((stage) => ({
      stage,
      'µs per token': of(({ time }) => time[stage] ?? 0, 2),
      'allocated bytes per token': of(({ bytes }) => bytes[stage] ?? 0, 0),
    })),
)
const main = ({ time }: Round): number =>
  Object.entries(time).reduce((sum, [stage, value]) => (stage === 'idle' ? sum : sum + value), 0)
const allocated = ({ bytes }: Round): number => Object.values(bytes).reduce((sum, value) => sum + value, 0)
console.table([
  {
    'tokens/s': of(({ perSecond }) => perSecond, 0),
    'tokens per message': of(({ merged }) => merged, 2),
    'CPU µs per token, all threads, not profiled': of(({ cpu }) => cpu, 1),
    'main thread, profiled': of(main, 1),
    'allocated bytes': of(allocated, 0),
    'p50 ms': of(({ p50 }) => p50, 2),
    'p99 ms': of(({ p99 }) => p99, 2),
  },
])
process.exit(0)
