// The reader process of a benchmark. It counts tokens and measures their latency.
import { setTimeout as sleep } from 'node:timers/promises'
import { LatencyHistogram, readTokens } from './bench-clock.ts'
import type { FromReaders, ToReaders } from './bench-message.ts'
import { RawClient } from './raw-client.ts'

const send = (message: FromReaders): void => {
  process.send?.(message)
}

let clients: RawClient[] = []
const latency = new LatencyHistogram()
let tokens = 0
let messages = 0
let bytes = 0
let cpuAt = process.cpuUsage()

function read(payload: Buffer): void {
  messages += 1
  bytes += payload.length
  tokens += readTokens(payload, (age) => latency.add(age))
}

async function connect(message: Extract<ToReaders, { ask: 'connect' }>): Promise<void> {
  const { port, kind, sockets, topics } = message
  for (let base = 0; base < sockets; base += 200) {
    const opened = Array.from({ length: Math.min(200, sockets - base) }, (_, at) =>
      open(port, kind, (base + at) % topics),
    )
    clients.push(...(await Promise.all(opened)))
  }
}

/** Resolves when the connection is open and, for Parley, its session is live. */
async function open(port: number, kind: 'parley' | 'bare', topic: number): Promise<RawClient> {
  if (kind === 'bare') return RawClient.open(port, `/?t${topic}`, read)
  let live: () => void = () => undefined
  const attached = new Promise<void>((resolve) => {
    live = resolve
  })
  const client = await RawClient.open(port, '/v1/ws', (payload) => {
    if (payload.includes('"type":"live"')) live()
    read(payload)
  })
  client.send({ type: 'hello' })
  client.send({ type: 'attach', id: 'attach', session: `bench_${topic}` })
  await attached
  return client
}

process.on('message', async (message: ToReaders) => {
  switch (message.ask) {
    case 'connect':
      await connect(message)
      return send({ done: true })
    case 'send': {
      const stamp = Date.now().toString(36)
      for (const [topic, client] of clients.slice(0, message.topics).entries()) {
        client.send({ type: 'send', id: `c_${stamp}_${topic}`, session: `bench_${topic}`, content: message.text })
        const { spreadMs = 0, topics } = message
        if (spreadMs > 0) await sleep(spreadMs / topics)
      }
      return send({ done: true })
    }
    case 'clear':
      latency.clear()
      tokens = 0
      messages = 0
      bytes = 0
      cpuAt = process.cpuUsage()
      return send({ done: true })
    case 'report': {
      const { user, system } = process.cpuUsage(cpuAt)
      const p50 = latency.percentile(0.5)
      const p99 = latency.percentile(0.99)
      return send({ report: { tokens, messages, bytes, p50, p99, cpu: user + system } })
    }
    case 'close':
      for (const client of clients) client.close()
      clients = []
      return send({ done: true })
  }
})
