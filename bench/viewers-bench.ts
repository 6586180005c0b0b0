// viewers-bench: one session with many viewers on two nodes and one nats-server. Measures the latency of tokens at each
// viewer, and the cost of presence. One run streams from the first node. Three crowds in turn: idle viewers; 20 of them
// typing, with two updates per second each; and in addition a tenth of the viewers leaving and returning every 10 s.
// Counting begins after everybody has connected. All processes share the machine; the viewers run in this process,
// which adds to the latency. `node bench/dist/viewers-bench.js [--viewers 1000] [--rate 10] [--seconds 20]`
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { NatsServer } from './cluster/nats-server.ts'
import { BenchChild } from './harness/bench-child.ts'
import { LatencyHistogram, readTokens } from './harness/bench-clock.ts'
import type { FromServer, ToServer } from './harness/bench-message.ts'
import { RawClient } from './harness/raw-client.ts'
import { machine } from './harness/summary.ts'

const { values } = parseArgs({
  options: {
    viewers: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '20' },
  },
})
const VIEWERS = Number(values.viewers)
const RATE = Number(values.rate)
const SECONDS = Number(values.seconds)
const TYPISTS = 20
const TYPING_MS = 500
/** Share of the viewers that leave and return in 10 s. */
const CHURN = 0.1
/** Twice the longest interval between presence frames. */
const SETTLE_MS = 9_000
const SESSION = 'crowd'

interface Crowd {
  readonly types: boolean
  readonly leavesAndReturns: boolean
}

interface Node {
  readonly child: BenchChild<ToServer, FromServer>
  readonly port: number
}

const nats = await NatsServer.start()
try {
  console.log(`${machine()}, shared by all processes. ${VIEWERS} viewers, ${RATE} tokens/s, ${SECONDS} s.`)
  const rows: Record<string, unknown> = {}
  rows.idle = await measure('idle', { types: false, leavesAndReturns: false })
  rows.typing = await measure('typing', { types: true, leavesAndReturns: false })
  rows['typing, leaving and returning'] = await measure('busy', { types: true, leavesAndReturns: true })
  console.table(rows)
} finally {
  await nats.dispose()
}

async function measure(prefix: string, { types, leavesAndReturns }: Crowd): Promise<Record<string, string>> {
  const nodes = [await serve('node1', prefix), await serve('node2', prefix)] as const
  const latency = new LatencyHistogram()
  const presence = { frames: 0, bytes: 0, count: 0 }
  const read = (payload: Buffer): void => {
    if (payload.includes('"type":"presence"')) {
      presence.frames += 1
      presence.bytes += payload.length
      presence.count = Number(/"count":(\d+)/.exec(payload.toString())?.[1] ?? 0)
    }
    readTokens(payload, (age) => latency.add(age))
  }
  const viewers: RawClient[] = []
  for (let at = 0; at < VIEWERS; at += 1) viewers.push(await connect((nodes[at % 2] as Node).port, read))
  const count = Math.ceil(RATE * (SETTLE_MS / 1_000 + SECONDS + 5))
  const content = `/bench count=${count} rate=${RATE}`
  viewers[0]?.send({ type: 'send', id: `c_${prefix}`, session: SESSION, content })
  await sleep(SETTLE_MS)

  const timers: NodeJS.Timeout[] = []
  let typed = 0
  const type = (): void => {
    const typist = viewers[typed % TYPISTS]
    typed += 1
    typist?.send({ type: 'presence', session: SESSION, state: { typing: true, at: typed } })
  }
  let left = TYPISTS
  const leaveAndReturn = async (): Promise<void> => {
    const at = left
    left = left + 1 < VIEWERS ? left + 1 : TYPISTS
    viewers[at]?.close()
    viewers[at] = await connect((nodes[at % 2] as Node).port, read)
  }
  if (types) timers.push(setInterval(type, TYPING_MS / TYPISTS))
  if (leavesAndReturns) timers.push(setInterval(() => void leaveAndReturn(), 10_000 / (VIEWERS * CHURN)))

  latency.clear()
  presence.frames = 0
  presence.bytes = 0
  const before = [await usage(nodes[0]), await usage(nodes[1]), nats.cpuSeconds()] as const
  const began = performance.now()
  await sleep(SECONDS * 1_000)
  const seconds = (performance.now() - began) / 1_000
  const { frames, bytes, count: seen } = presence
  const tokens = latency.count
  const [p50, p99] = [latency.percentile(0.5), latency.percentile(0.99)]
  const after = [await usage(nodes[0]), await usage(nodes[1]), nats.cpuSeconds()] as const
  for (const timer of timers) clearInterval(timer)
  for (const viewer of viewers) viewer.close()
  for (const { child } of nodes) await child.stop({ ask: 'stop' })
  const busy = (micros: number): string => `${((micros / 1e6 / seconds) * 100).toFixed(0)}%`
  return {
    'tokens/s': (tokens / seconds).toFixed(0),
    'p50 ms': p50.toFixed(2),
    'p99 ms': p99.toFixed(2),
    'frames/viewer/s': (frames / VIEWERS / seconds).toFixed(2),
    'bytes/viewer/s': (bytes / VIEWERS / seconds).toFixed(0),
    'CPU node1': busy(after[0] - before[0]),
    'CPU node2': busy(after[1] - before[1]),
    'CPU NATS': busy((after[2] - before[2]) * 1e6),
    'last count': String(seen),
  }
}

/** Resolves when the session is live. */
async function connect(port: number, read: (payload: Buffer) => void): Promise<RawClient> {
  let live: () => void = () => undefined
  const attached = new Promise<void>((resolve) => {
    live = resolve
  })
  let isLive = false
  const client = await RawClient.open(port, '/v1/ws', (payload) => {
    if (isLive) read(payload)
    else if (payload.includes('"type":"live"')) {
      // Entries before `live` are old, and do not count.
      isLive = true
      live()
    }
  })
  client.send({ type: 'hello' })
  client.send({ type: 'attach', id: 'attach', session: SESSION })
  await attached
  return client
}

async function serve(name: string, prefix: string): Promise<Node> {
  const role = name === 'node1' ? 'all' : 'gateway'
  const settings = { PARLEY_ROLE: role, PARLEY_NODE: name, PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: prefix }
  const child: Node['child'] = new BenchChild('harness/parley-process.js', { args: [JSON.stringify(settings)] })
  const ready = await child.next()
  if (!('port' in ready)) throw new Error('the node did not report its port')
  return { child, port: ready.port }
}

async function usage({ child }: Node): Promise<number> {
  const answer = await child.ask({ ask: 'usage' })
  if (!('cpu' in answer)) throw new Error('unexpected answer of the node')
  return answer.cpu
}
