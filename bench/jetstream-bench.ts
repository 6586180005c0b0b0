// jetstream-bench: the cost of an append to the JetStream log on two nodes: CPU per append of the appending node (which
// also follows, as a driver does), of a following node, and of nats-server; and the latency from one to the other. For
// comparison, in the same run and at the same rate: a publish with a compare and an acknowledgement, and a subscription
// to the republished subject. Each session has one append in flight.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type JetStreamStores, openJetStreamStores } from '@parley/server/internal/store/jetstream/stores'
import {
  type AppendToken,
  advance,
  appendAtRate,
  bareAppend,
  makeSessions,
  TOKENS_A_RUN,
  tokenOf,
} from './append-load.ts'
import { NatsCluster, NatsServer } from './cluster/nats-server.ts'
import { LatencyHistogram, nowMicros } from './harness/bench-clock.ts'

interface Result {
  readonly name: string
  readonly perSecond: number
  /** Microseconds per append. */
  readonly appender: number
  readonly follower: number
  readonly nats: number
  /** Milliseconds. */
  readonly ack: readonly [number, number]
  readonly seen: readonly [number, number]
}

export type ToFollower = 'begin' | 'end'

/** The answer of the follower process. */
export interface FromFollower {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly micros: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sessions: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '6' },
    rates: { type: 'string', default: '1000,5000,10000' },
    kinds: { type: 'string', default: 'bare,parley' },
    /** 3: a cluster with three replicas on this machine. */
    nats: { type: 'string', default: '1' },
  },
})
const SESSIONS = Number(values.sessions)
const SECONDS = Number(values.seconds)
const REPLICAS = Number(values.nats)
const WARM_UP_S = 1.5
const STAMP = /"text":" (\d{16})/

async function open(url: string, prefix: string): Promise<JetStreamStores> {
  return openJetStreamStores({ connection: { servers: url.split(',') }, streams: { prefix, replicas: REPLICAS } })
}

/** Follows all sessions, or all bare subjects, and reports the latency. */
async function follow(kind: string, url: string, prefix: string): Promise<void> {
  const ages = new LatencyHistogram()
  const see = (text: string): void => {
    const stamp = STAMP.exec(text)?.[1]
    if (stamp !== undefined) ages.add(nowMicros() - Number(stamp))
  }
  const stores = await open(url, prefix)
  for (let i = 0; i < SESSIONS; i++) {
    if (kind === 'parley') {
      await stores.log.follow(`s${i}`, `${stores.log.epoch}.0`, {
        entries: (entries) => {
          for (const { json } of entries) see(json)
        },
      })
    } else {
      const { nats } = stores.connection
      nats.subscribe(`${prefix}.live.s${i}.>`, { callback: (_, message) => see(message.string()) })
      if (i === SESSIONS - 1) await nats.flush()
    }
  }
  let cpu = process.cpuUsage()
  process.on('message', (asked) => {
    if (asked === 'begin') {
      ages.clear()
      cpu = process.cpuUsage()
    } else {
      const { user, system } = process.cpuUsage(cpu)
      const [p50, p99] = [ages.percentile(0.5), ages.percentile(0.99)]
      process.send?.({ count: ages.count, p50, p99, micros: user + system } satisfies FromFollower)
      if (asked === 'end') process.exit()
    }
  })
  process.send?.('ready')
}

async function parley(stores: JetStreamStores): Promise<AppendToken> {
  const start = `${stores.log.epoch}.0`
  for (let i = 0; i < SESSIONS; i++) await stores.log.follow(`s${i}`, start, { entries: () => undefined })
  return async (session) => {
    const token = tokenOf(session)
    const rollup = session.index === TOKENS_A_RUN
    const entry = await stores.log.append(session.id, `run.${token.run}`, token, session.last, { rollup })
    advance(session, entry.seq)
  }
}

async function measure(kind: 'parley' | 'bare', perSecond: number, server: NatsServer | NatsCluster): Promise<Result> {
  const prefix = `${kind}${perSecond}`
  const stores = await open(server.url, prefix)
  const append = kind === 'parley' ? await parley(stores) : bareAppend(stores.connection.nats, prefix)
  const child = fork(fileURLToPath(import.meta.url), [
    'follow',
    kind,
    server.url,
    prefix,
    '--sessions',
    `${SESSIONS}`,
    '--nats',
    `${REPLICAS}`,
  ])
  await once(child, 'message')
  const sessions = makeSessions(SESSIONS)
  await appendAtRate(sessions, append, perSecond, WARM_UP_S, () => undefined)
  const acks = new LatencyHistogram()
  child.send('begin')
  const nats = server.cpuSeconds()
  const cpu = process.cpuUsage()
  const began = performance.now()
  await appendAtRate(sessions, append, perSecond, SECONDS, (micros) => acks.add(micros))
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const natsMicros = (server.cpuSeconds() - nats) * 1e6
  const followed = await ask(child)
  await stores.close()
  return {
    name: `${kind}, ${perSecond}/s`,
    perSecond: acks.count / seconds,
    appender: (user + system) / acks.count,
    follower: followed.micros / acks.count,
    nats: natsMicros / acks.count,
    ack: [acks.percentile(0.5), acks.percentile(0.99)],
    seen: [followed.p50, followed.p99],
  }
}

async function ask(child: ChildProcess): Promise<FromFollower> {
  const answer = once(child, 'message')
  child.send('end')
  return ((await answer) as [FromFollower])[0]
}

function table(results: readonly Result[]): string {
  const pair = ([p50, p99]: readonly [number, number]): string => `${p50.toFixed(2)} / ${p99.toFixed(2)}`
  const rows = results.map((r) => {
    const costs = [r.appender, r.follower, r.nats].map((micros) => micros.toFixed(1))
    return `| ${r.name} | ${r.perSecond.toFixed(0)} | ${costs.join(' | ')} | ${pair(r.ack)} | ${pair(r.seen)} |`
  })
  return [
    '| load | appends/s | appender µs | follower µs | nats-server µs | acknowledged, ms p50 / p99 | at the other node, ms p50 / p99 |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    ...rows,
  ].join('\n')
}

if (positionals[0] === 'follow') {
  const [, kind = '', url = '', prefix = ''] = positionals
  await follow(kind, url, prefix)
} else {
  const server = REPLICAS > 1 ? await NatsCluster.start() : await NatsServer.start()
  try {
    const results: Result[] = []
    for (const rate of values.rates.split(',').map(Number)) {
      for (const kind of values.kinds.split(',')) results.push(await measure(kind as 'bare' | 'parley', rate, server))
    }
    console.log(table(results))
  } finally {
    await server.dispose()
  }
}
