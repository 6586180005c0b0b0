// attach-bench: the cost of attaching to a session that is not in the node's cache, as the number of finished runs in
// the log grows: time, and CPU of nats-server. It measures the stores only: without a cursor (transcript and tail),
// with a recent cursor, and with an old one (ten runs back). Each session is attached once, so that no cache helps.
// `node bench/dist/attach-bench.js [--runs 10000,100000,500000]`
import { parseArgs } from 'node:util'
import { formatCursor } from '@parley/protocol'
import { type JetStreamStores, openJetStreamStores } from '@parley/server/internal/store/jetstream/stores'
import { NatsServer } from './cluster/nats-server.ts'
import { LatencyHistogram } from './harness/bench-clock.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000,100000,500000' },
    sessions: { type: 'string', default: '5000' },
    attaches: { type: 'string', default: '500' },
    atOnce: { type: 'string', default: '20' },
    bytes: { type: 'string', default: '1000' },
  },
})
const SESSIONS = Number(values.sessions)
const ATTACHES = Number(values.attaches)
const AT_ONCE = Number(values.atOnce)
const TEXT = 'word '.repeat(Number(values.bytes) / 5)
const APPENDERS = 500
const OLD_RUNS = 10

interface Session {
  readonly id: string
  /** The sequence number of each finished run's end, oldest first. */
  readonly ends: number[]
}

type Attach = (stores: JetStreamStores, session: Session) => Promise<number>

const KINDS: readonly (readonly [string, Attach])[] = [
  ['no cursor', attachWithout],
  ['recent cursor', (stores, { id, ends }) => attachAt(stores, id, ends.at(-2) ?? 0)],
  ['old cursor', (stores, { id, ends }) => attachAt(stores, id, ends.at(-1 - OLD_RUNS) ?? 0)],
]

async function attachWithout(stores: JetStreamStores, { id }: Session): Promise<number> {
  const transcript = await stores.transcripts.load(id)
  return attach(stores, id, transcript?.cursor ?? formatCursor(stores.log.epoch, 0))
}

function attachAt(stores: JetStreamStores, id: string, seq: number): Promise<number> {
  return attach(stores, id, formatCursor(stores.log.epoch, seq))
}

async function attach(stores: JetStreamStores, id: string, cursor: string): Promise<number> {
  let count = 0
  const subscription = await stores.log.follow(id, cursor, {
    entries: (entries) => {
      count += entries.length
    },
  })
  subscription.close()
  return count
}

/** Appends finished runs to all sessions: a message and a compacted run each. */
async function fill(stores: JetStreamStores, sessions: readonly Session[], from: number, to: number): Promise<void> {
  let next = from
  const work = async (): Promise<void> => {
    while (next < to) {
      const number = next++
      const { id, ends } = sessions[number % SESSIONS] as Session
      const [run, message] = [`run_${number}`, `m_${number}`]
      const parts = [{ type: 'text', text: 'And then?' }] as const
      const entry = { type: 'message', message, command: message, role: 'user', parts } as const
      await stores.log.append(id, `in.${message}`, entry as never, 0)
      const output = [{ type: 'text', text: TEXT, index: 0, lengths: [TEXT.length] }] as const
      const ended = { type: 'run.ended', run, reason: 'completed', next: 1, output } as const
      ends.push((await stores.log.append(id, `run.${run}`, ended as never, 0)).seq)
    }
  }
  await Promise.all(Array.from({ length: APPENDERS }, work))
}

/** Writes transcripts that cover all but the last run of each session. */
async function writeTranscripts(stores: JetStreamStores, sessions: readonly Session[]): Promise<void> {
  for (const { id, ends } of sessions) {
    const cursor = formatCursor(stores.log.epoch, ends.at(-2) ?? 0)
    const entries = [{ seq: ends.at(-2) ?? 0, time: Date.now(), json: JSON.stringify({ text: TEXT.repeat(10) }) }]
    const before = (await stores.transcripts.load(id))?.revision ?? 0
    await stores.transcripts.save(id, { cursor, sealed: 0, entries, commands: [] }, before)
  }
}

async function measure(server: NatsServer, kind: Attach, sessions: readonly Session[]): Promise<string> {
  const stores = await open(server)
  const took = new LatencyHistogram()
  const todo = [...sessions]
  const cpu = server.cpuSeconds()
  let entries = 0
  const work = async (): Promise<void> => {
    for (let session = todo.pop(); session !== undefined; session = todo.pop()) {
      const before = performance.now()
      const count = await kind(stores, session)
      entries += count
      took.add((performance.now() - before) * 1000)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const nats = ((server.cpuSeconds() - cpu) * 1000) / sessions.length
  await stores.close()
  const [p50, p99] = [took.percentile(0.5), took.percentile(0.99)]
  return `${p50.toFixed(2)} / ${p99.toFixed(2)} | ${nats.toFixed(2)} | ${(entries / sessions.length).toFixed(1)}`
}

function open(server: NatsServer): Promise<JetStreamStores> {
  return openJetStreamStores({ connection: { servers: [server.url] }, retention: { maxBytes: 1e15 } })
}

const server = await NatsServer.start()
try {
  const stores = await open(server)
  const sessions = Array.from({ length: SESSIONS }, (_, i): Session => ({ id: `session_${i}`, ends: [] }))
  console.log('| finished runs | attach | ms p50 / p99 | nats-server CPU ms | entries read |')
  console.log('| --: | --- | --: | --: | --: |')
  let filled = 0
  for (const runs of values.runs.split(',').map(Number)) {
    await fill(stores, sessions, filled, runs)
    filled = runs
    await writeTranscripts(stores, sessions)
    for (const [index, [name, kind]] of KINDS.entries()) {
      const some = sessions.slice(index * ATTACHES, (index + 1) * ATTACHES)
      console.log(`| ${runs} | ${name} | ${await measure(server, kind, some)} |`)
    }
  }
  await stores.close()
} finally {
  await server.dispose()
}
