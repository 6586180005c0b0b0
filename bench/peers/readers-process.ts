// The reader process of the comparison.
import { setTimeout as sleep } from 'node:timers/promises'
import { LatencyHistogram, readTokens } from '../harness/bench-clock.ts'
import type { FromPeerReaders, ToPeerReaders } from './peer-message.ts'
import { PeerReader } from './peer-reader.ts'

const send = (message: FromPeerReaders): void => {
  process.send?.(message)
}

/** Connections that are opened concurrently. */
const BATCH = 200
let readers: PeerReader[] = []
const latency = new LatencyHistogram()
let outputs = 0
let messages = 0
let bytes = 0
let cuts = 0
let cpuAt = process.cpuUsage()

function read(payload: Buffer): void {
  messages += 1
  bytes += payload.length
  outputs += readTokens(payload, (age) => latency.add(age))
}

async function connect(asked: Extract<ToPeerReaders, { ask: 'connect' }>): Promise<void> {
  const { peer, port, sockets, topics, first = 0, from } = asked
  readers = Array.from({ length: sockets }, (_, at) => new PeerReader(peer, port, first + (at % topics), read, from))
  for (let at = 0; at < sockets; at += BATCH) {
    await Promise.all(readers.slice(at, at + BATCH).map((reader) => reader.connect()))
  }
}

async function cut({ every, withinMs, backMs }: Extract<ToPeerReaders, { ask: 'cut' }>): Promise<void> {
  const victims = readers.filter((_, at) => at % every === every - 1)
  await Promise.all(
    victims.map(async (reader) => {
      await sleep(Math.random() * withinMs)
      reader.close()
      cuts += 1
      await sleep(backMs * (0.5 + Math.random()))
      await reader.connect()
    }),
  )
}

process.on('message', async (message: ToPeerReaders) => {
  switch (message.ask) {
    case 'connect':
      await connect(message)
      return send({ done: true })
    case 'send': {
      const stamp = Date.now().toString(36)
      for (const [at, reader] of readers.slice(0, message.topics).entries()) {
        reader.send(`c_${stamp}_${at}`, message.text)
        const { spreadMs = 0, topics } = message
        if (spreadMs > 0) await sleep(spreadMs / topics)
      }
      return send({ done: true })
    }
    case 'clear':
      latency.clear()
      outputs = 0
      messages = 0
      bytes = 0
      cpuAt = process.cpuUsage()
      return send({ done: true })
    case 'report': {
      const { user, system } = process.cpuUsage(cpuAt)
      const [p50, p99] = [latency.percentile(0.5), latency.percentile(0.99)]
      return send({ report: { outputs, messages, bytes, p50, p99, cpu: user + system } })
    }
    case 'cut':
      await cut(message)
      return send({ done: true })
    case 'judge': {
      const lost = readers.reduce((sum, reader) => sum + reader.missing(message.outputs), 0)
      const repeated = readers.reduce((sum, reader) => sum + reader.repeated, 0)
      return send({ judgement: { expected: readers.length * message.outputs, lost, repeated, cuts } })
    }
    case 'close':
      for (const reader of readers) reader.close()
      readers = []
      return send({ done: true })
  }
})
