// What a relay costs: CPU per token of the node and its relay together, against a node without a relay, and the time that the relay adds
// to the first token. Embedded log, a provider over HTTP that sends each token in a chunk of its own. Both layouts are measured in turn. `node
// bench/dist/relay-bench.js [--sessions 60] [--rate 10] [--rounds 5] [--seconds 8] [--asks 300] [--socket]`
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ServerProcess } from './cluster/server-process.ts'
import { BenchChild } from './harness/bench-child.ts'
import { CountingReader } from './harness/counting-reader.ts'
import { machine, median, summarize } from './harness/summary.ts'
import { cpuSecondsOf } from './harness/usage.ts'
import type { FromPeerReaders, PeerReport, ToPeerReaders } from './peers/peer-message.ts'

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '60' },
    /** Tokens per second of each session. */
    rate: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '5' },
    /** Duration of a measurement. */
    seconds: { type: 'string', default: '8' },
    /** First tokens measured of each layout; 0: none. */
    asks: { type: 'string', default: '300' },
    /** The node reaches its relay by a Unix socket, not TCP. */
    socket: { type: 'boolean', default: false },
    /** Writes .cpuprofile files of the nodes and the relay to this folder. */
    profile: { type: 'string' },
  },
})
const SESSIONS = Number(values.sessions)
const RATE = Number(values.rate)
const ROUNDS = Number(values.rounds)
const SECONDS = Number(values.seconds)
const ASKS = Number(values.asks)
const WARM_UP_SECONDS = 2
/** The first messages do not count: V8 still compiles the code. */
const WARM_UP_ASKS = 30
const SECRET = 'a-secret-of-at-least-32-bytes-for-the-relay'
const FIRST_MS = 10_000

type Readers = BenchChild<ToPeerReaders, FromPeerReaders>

interface Layout {
  readonly node: ServerProcess
  readonly relay: ServerProcess | undefined
  readonly readers: Readers
}

interface Cost {
  /** Microseconds of CPU per token. */
  readonly node: number
  readonly relay: number
  readonly perSecond: number
}

async function layout(provider: number, isRelayed: boolean): Promise<Layout> {
  const execArgv = ['--max-semi-space-size=32']
  if (values.profile !== undefined) execArgv.push('--cpu-prof', `--cpu-prof-dir=${values.profile}`)
  const compatible = { PARLEY_COMPATIBLE_URL: `http://127.0.0.1:${provider}/v1`, PARLEY_LOG_LEVEL: 'info' }
  const shared = { ...compatible, PARLEY_RELAY_SECRET: SECRET }
  const path = values.socket ? { PARLEY_RELAY_URL: `unix:${join(tmpdir(), `parley-bench-${process.pid}.sock`)}` } : {}
  const relay = isRelayed
    ? await ServerProcess.start({ ...shared, ...path, PARLEY_ROLE: 'relay' }, { execArgv })
    : undefined
  const limits = { PARLEY_RUNS: '20000', PARLEY_RUN_TOKENS: '10000000' }
  const uses = relay === undefined ? {} : { PARLEY_RELAY_URL: `http://127.0.0.1:${relay.port}`, ...path }
  const env = { ...shared, ...limits, ...uses, PARLEY_MODEL: 'compatible:bench' }
  const node = await ServerProcess.start(env, { execArgv })
  const readers: Readers = new BenchChild('peers/readers-process.js')
  await readers.ask({ ask: 'connect', peer: 'parley', port: node.port, sockets: SESSIONS, topics: SESSIONS })
  return { node, relay, readers }
}

async function costOf({ node, relay, readers }: Layout): Promise<Cost> {
  const text = `count=${(WARM_UP_SECONDS + SECONDS + 1) * RATE} rate=${RATE}`
  await readers.ask({ ask: 'send', text, topics: SESSIONS })
  await sleep(WARM_UP_SECONDS * 1_000)
  const cpu = (): [number, number] => [cpuSecondsOf(node.pid), relay === undefined ? 0 : cpuSecondsOf(relay.pid)]
  await readers.ask({ ask: 'clear' })
  const before = cpu()
  await sleep(SECONDS * 1_000)
  const after = cpu()
  const { outputs } = await report(readers)
  // Until all answers have ended.
  for (let quiet = 0; quiet < 2; ) {
    await readers.ask({ ask: 'clear' })
    await sleep(500)
    quiet = (await report(readers)).outputs === 0 ? quiet + 1 : 0
  }
  const perToken = (at: 0 | 1): number => ((after[at] - before[at]) * 1e6) / outputs
  return { node: perToken(0), relay: perToken(1), perSecond: outputs / SECONDS }
}

async function report(readers: Readers): Promise<PeerReport> {
  const answer = await readers.ask({ ask: 'report' })
  if (!('report' in answer)) throw new Error('unexpected answer of the readers')
  return answer.report
}

/** Milliseconds from a message to the first token of its answer. */
async function firstToken(port: number, name: string): Promise<number> {
  let first: (() => void) | undefined
  const arrived = new Promise<void>((resolve) => {
    first = resolve
  })
  const reader = new CountingReader(name, { token: () => first?.() })
  await reader.connect(port)
  const asked = performance.now()
  await Promise.all([arrived, reader.ask(2, 20)])
  const waited = performance.now() - asked
  reader.close()
  return waited
}

async function firstTokens(direct: number, relayed: number): Promise<{ readonly [layout: string]: number }> {
  const waits: Record<'direct' | 'relayed' | 'added', number[]> = { direct: [], relayed: [], added: [] }
  for (let ask = 0; ask < WARM_UP_ASKS + ASKS; ask += 1) {
    const without = await firstToken(direct, `first_${ask}`)
    const through = await firstToken(relayed, `first_${ask}`)
    if (ask < WARM_UP_ASKS) continue
    waits.direct.push(without)
    waits.relayed.push(through)
    waits.added.push(through - without)
  }
  const [without, through] = [median(waits.direct), median(waits.relayed)]
  const pairs = median(waits.added)
  return { 'without p50 ms': without, 'relay p50 ms': through, 'added p50 ms': through - without, 'of pairs ms': pairs }
}

console.log(
  `${machine()}, shared by all processes. ${SESSIONS} sessions, ${RATE} tokens/s each; median of ${ROUNDS} (min–max).`,
)
const provider = new BenchChild<never, { readonly port: number }>('harness/bench-provider.js')
const { port } = await provider.next()
const layouts = [await layout(port, false), await layout(port, true)] as const
const costs: [Cost[], Cost[]] = [[], []]
try {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const at of [0, 1] as const) costs[at].push(await costOf(layouts[at]))
  }
  const [without, through] = costs
  const of = (list: readonly Cost[], pick: (cost: Cost) => number): string => summarize(list.map(pick), 1)
  const total = ({ node, relay }: Cost): number => node + relay
  console.table(
    [without, through].map((list, at) => ({
      layout: at === 0 ? 'without a relay' : 'with a relay',
      'tokens/s': of(list, ({ perSecond }) => perSecond),
      'node µs': of(list, ({ node }) => node),
      'relay µs': of(list, ({ relay }) => relay),
      'CPU µs per token': of(list, total),
    })),
  )
  const ratios = through.map((cost, at) => total(cost) / total(without[at] as Cost))
  console.log(`with / without: ${summarize(ratios, 2)}`)
  if (ASKS > 0) {
    const timeout = setTimeout(
      () => {
        throw new Error('an answer did not begin')
      },
      FIRST_MS * (ASKS + WARM_UP_ASKS),
    )
    const figures = await firstTokens(layouts[0].node.port, layouts[1].node.port)
    clearTimeout(timeout)
    console.table([Object.fromEntries(Object.entries(figures).map(([name, ms]) => [name, ms.toFixed(2)]))])
  }
} finally {
  for (const { node, relay, readers } of layouts) {
    readers.process.disconnect()
    // A profile is written at the end of the process.
    await Promise.all([node.stop(), relay?.stop()])
    await Promise.all([node.dispose(), relay?.dispose()])
  }
}
process.exit(0)
