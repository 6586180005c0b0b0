// Measures the unit costs of docs/scale.md with a real nats-server: what nodes cost each other by the messages that all of them
// get, what a subscription and a stored subject cost in memory, and how much one stream stores in a second.
// `node bench/dist/scale/measure.js [--rounds 5]`
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { parseMessage } from '@parley/server/internal/presence/presence-message'
import { JetStreamRunNotices } from '@parley/server/internal/store/jetstream/queue/run-notices'
import { openStreams } from '@parley/server/internal/store/jetstream/streams'
import { encodeSign, parseSign, type Sign } from '@parley/server/internal/store/jetstream/takeover/sign'
import { bareAppend, makeSessions } from '../append-load.ts'
import { NatsCluster, NatsServer } from '../cluster/nats-server.ts'
import { machine, summarize } from '../harness/summary.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' } },
})
const SECONDS = Number(values.seconds)
/** Messages of each kind that are published in a second. */
const RATE = 5_000
const SUBSCRIPTIONS = 50_000
const SUBJECTS = 50_000
const IN_FLIGHT = 256

const ACK = `$JS.ACK.PARLEY_RUNS.owners.1.123456.123456.1764800000000000000.0`
const sign: Sign = {
  node: 'Qm9ybiB0byBy',
  number: 123_456,
  news: 4_321,
  server: 'NDXT4M6S7Y3Y6NQ5Z2N3W6L4V7GQX5TQ4S2Z7Q3',
  took: [ACK],
  left: [123_455],
  bye: false,
}
const noticeOf = (runs: number): string =>
  JSON.stringify([Array.from({ length: runs }, (_, n) => ['kA1sD2fG3hJ4kL5z', `run_7f3c9a1b2d4e5f60718${n}`]), []])
const MESSAGES = {
  /** Received, and not looked at. */
  bare: 'x'.repeat(200),
  sign: encodeSign(sign),
  notice: noticeOf(1),
  'notice of 101 runs': noticeOf(101),
  presence: JSON.stringify({ node: 'node_1', number: 12, asks: ['session-0123456789'] }),
} as const
type Kind = keyof typeof MESSAGES

const subjectOf = (kind: Kind): string => (kind.startsWith('notice') ? 'scale.busy' : `scale.${kind}`)

/** What a node does with a message before it looks at its own state. */
function receive(kind: Kind, nats: NatsConnection): void {
  if (kind.startsWith('notice')) {
    new JetStreamRunNotices({ nats, state: 'live' }, 'scale').onNotified(() => undefined)
    return
  }
  const parse = kind === 'sign' ? parseSign : kind === 'presence' ? parseMessage : undefined
  nats.subscribe(subjectOf(kind), {
    callback: (_, message) => {
      const text = message.string()
      if (parse !== undefined && parse(JSON.parse(text)) === undefined) throw new Error(`not a ${kind}`)
    },
  })
}

function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024
}

/** A process of its own that receives, so that its CPU is counted alone. */
async function child(url: string, kind: string, connections: number): Promise<ChildProcess> {
  const file = fileURLToPath(import.meta.url)
  const receiver = fork(file, ['receive', url, kind, String(connections)], { execArgv: ['--expose-gc'] })
  await once(receiver, 'message')
  return receiver
}

async function ask(receiver: ChildProcess): Promise<{ readonly cpu: number; readonly rss: number }> {
  const answer = once(receiver, 'message')
  receiver.send('usage')
  return ((await answer) as [{ cpu: number; rss: number }])[0]
}

async function runReceiver([, url = '', kind = '', connections = '1']: readonly string[]): Promise<void> {
  process.on('message', () => {
    globalThis.gc?.()
    const { user, system } = process.cpuUsage()
    process.send?.({ cpu: user + system, rss: process.memoryUsage.rss() })
  })
  process.on('disconnect', () => process.exit())
  for (let n = 0; n < Number(connections); n += 1) {
    const nats = await connect({ servers: url })
    if (kind === 'subscriptions') {
      for (let session = 0; session < SUBSCRIPTIONS; session += 1)
        nats.subscribe(`parley.live.session-${session}.>`, { callback: () => undefined })
    } else if (kind !== 'none') receive(kind as Kind, nats)
    await nats.flush()
  }
  process.send?.('ready')
}

/** CPU for one delivery: of the receiver, and of NATS. @param connections nodes that receive each message */
async function delivery(kind: Kind, connections: number): Promise<{ readonly node: number; readonly nats: number }> {
  const server = await NatsServer.start()
  const nats = await connect({ servers: server.url })
  const receiver = await child(server.url, kind, connections)
  const publish = async (seconds: number): Promise<number> => {
    let sent = 0
    const began = performance.now()
    while (performance.now() - began < seconds * 1_000) {
      const due = ((performance.now() - began) / 1_000) * RATE
      for (; sent < due; sent += 1) nats.publish(subjectOf(kind), MESSAGES[kind])
      await sleep(1)
    }
    await nats.flush()
    return sent
  }
  await publish(1)
  const [before, natsBefore] = [await ask(receiver), server.cpuSeconds()]
  const sent = await publish(SECONDS)
  const [after, natsAfter] = [await ask(receiver), server.cpuSeconds()]
  receiver.kill()
  await nats.close()
  await server.dispose()
  return {
    node: (after.cpu - before.cpu) / sent / connections,
    nats: ((natsAfter - natsBefore) * 1e6) / sent,
  }
}

interface SubscriptionBytes {
  readonly node: number
  /** The server to which the node is connected, and another one of its cluster. */
  readonly nats: number
  readonly peer: number
}

async function subscription(): Promise<SubscriptionBytes> {
  const cluster = await NatsCluster.start()
  const [own, peer] = cluster.servers as [NatsServer, NatsServer]
  const idle = await child(own.url, 'none', 1)
  const before = [(await ask(idle)).rss, rssOf(own.pid), rssOf(peer.pid)] as const
  idle.kill()
  const receiver = await child(own.url, 'subscriptions', 1)
  await sleep(1_000)
  const after = [(await ask(receiver)).rss, rssOf(own.pid), rssOf(peer.pid)] as const
  receiver.kill()
  await cluster.dispose()
  const [node, nats, other] = [0, 1, 2].map((i) => ((after[i] ?? 0) - (before[i] ?? 0)) / SUBSCRIPTIONS)
  return { node, nats, peer: other } as SubscriptionBytes
}

/** Bytes of NATS's memory, and of its file, for one subject with one message of 250 bytes. */
async function subject(): Promise<{ readonly memory: number; readonly disk: number }> {
  const server = await NatsServer.start()
  const nats = await connect({ servers: server.url })
  const { partitions } = await openStreams({ nats } as Parameters<typeof openStreams>[0], { prefix: 'scale' })
  const append = bareAppend(nats, 'scale')
  const sessions = makeSessions(SUBJECTS)
  // The first messages also load what the server needs for any of them.
  for (const session of sessions.splice(0, 1_000)) await append(session)
  const before = rssOf(server.pid)
  await inParallel(sessions, append)
  const memory = (rssOf(server.pid) - before) / (SUBJECTS - 1_000)
  const manager = await jetstreamManager(nats)
  const { state } = await manager.streams.info(partitions[0]?.stream ?? '')
  await nats.close()
  await server.dispose()
  return { memory, disk: state.bytes / state.messages }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  const worker = async (): Promise<void> => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await work(item)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}

/** Messages that one stream stores in a second, without a reader. */
async function throughput(replicas: 1 | 3): Promise<number> {
  const server = replicas === 3 ? await NatsCluster.start() : await NatsServer.start()
  const nats = await connect({ servers: server.url.split(',') })
  await openStreams({ nats } as Parameters<typeof openStreams>[0], { prefix: 'scale', replicas })
  const append = bareAppend(nats, 'scale')
  const until = performance.now() + SECONDS * 1_000
  let stored = 0
  await inParallel(makeSessions(IN_FLIGHT), async (session) => {
    for (; performance.now() < until; stored += 1) await append(session)
  })
  await nats.close()
  await server.dispose()
  return stored / SECONDS
}

async function measure(): Promise<void> {
  const figures = new Map<string, number[]>()
  const add = (name: string, value: number): void => {
    figures.set(name, [...(figures.get(name) ?? []), value])
  }
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const kind of Object.keys(MESSAGES) as Kind[]) add(`node, one ${kind}, µs`, (await delivery(kind, 1)).node)
    const [one, ten] = [await delivery('sign', 1), await delivery('sign', 10)]
    add('NATS, a message to one more node, µs', (ten.nats - one.nats) / 9)
    const bytes = await subscription()
    add('node, a subscription, bytes', bytes.node)
    add('NATS, a subscription, bytes', bytes.nats)
    add('NATS, a subscription at another server of the cluster, bytes', bytes.peer)
    const { memory, disk } = await subject()
    add('NATS, a stored subject, bytes of memory', memory)
    add('NATS, a stored output, bytes of the file', disk)
    for (const replicas of [1, 3] as const)
      add(`one stream, ${replicas} replicas, stored/s`, await throughput(replicas))
  }
  console.log(`${machine()}; ${values.rounds} rounds; median (min–max).`)
  for (const [name, values] of figures) console.log(`| ${name} | ${summarize(values, 1)} |`)
}

if (positionals[0] === 'receive') await runReceiver(positionals)
else {
  await measure()
  process.exit(0)
}
