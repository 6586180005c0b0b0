// jetstream-bench: what an append to the JetStream log costs on two nodes: CPU of the node that appends (and follows, as
// an owner does), of the one that only follows, and of nats-server, per append; and how long a token takes from the one
// to the other's follower. Beside it, in the same run and at the same pace, the bare way: a publish with a compare and
// an ack, and a subscription on the republished subject. Self-clocked: one append in flight per session.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type JetStreamStores, openJetStreamStores } from '@parley/server/internal/store/jetstream/stores'
import { NatsCluster, NatsServer } from './cluster/nats-server.ts'
import { LatencyHistogram, nowMicros } from './harness/bench-clock.ts'
import { type Append, advance, bareAppend, makeLanes, pace, TOKENS_A_RUN, tokenOf } from './jetstream-lanes.ts'

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

/** What the following process says. */
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
    /** 3: a cluster on this machine, with three replicas. */
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

/** Follows all sessions, or all bare subjects, and tells how old what it saw was. */
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

async function parley(stores: JetStreamStores): Promise<Append> {
  const start = `${stores.log.epoch}.0`
  for (let i = 0; i < SESSIONS; i++) await stores.log.follow(`s${i}`, start, { entries: () => undefined })
  return async (lane) => {
    const said = tokenOf(lane)
    const rollup = lane.index === TOKENS_A_RUN
    const entry = await stores.log.append(lane.session, `run.${said.run}`, said, lane.last, { rollup })
    advance(lane, entry.seq)
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
  const lanes = makeLanes(SESSIONS)
  await pace(lanes, append, perSecond, WARM_UP_S, () => undefined)
  const acks = new LatencyHistogram()
  child.send('begin')
  const nats = server.cpuSeconds()
  const cpu = process.cpuUsage()
  const began = performance.now()
  await pace(lanes, append, perSecond, SECONDS, (micros) => acks.add(micros))
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
    '| load | appends/s | appender µs | follower µs | nats-server µs | acked ms p50 / p99 | at a follower elsewhere ms p50 / p99 |',
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
