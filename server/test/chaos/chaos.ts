// Chaos: many sessions of clients that act at random, over a cluster to which a schedule of faults is applied. After
// the cluster has healed, every run must end, new readers read each session, and the histories are checked.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ParleyCluster } from '../../../bench/cluster/parley-cluster.ts'
import { type SessionPicture, seeded } from '../strict-client.ts'
import { ChaosClient, type ChaosClientOptions, type ChaosSession, newChaosSession } from './chaos-client.ts'
import { describeFault, type Fault } from './chaos-schedule.ts'
import { problems } from './check-history.ts'
import { FaultInjector } from './fault-injector.ts'
import type { RunSeen } from './history.ts'

export interface ChaosOptions {
  readonly cluster: ParleyCluster
  /** The prefix of the session ids: each round has its own sessions. */
  readonly name: string
  readonly seed: number
  readonly faults: readonly Fault[]
  /** How long clients act, at least. */
  readonly seconds: number
  readonly sessions: number
  /** Milliseconds between the actions of a client, on average. */
  readonly paceMs: number
  /** Answers take a few seconds, or up to half a minute, so that faults hit most of them. */
  readonly lengths: 'short' | 'long'
  /** Milliseconds after healing until all runs must have ended and all readers must have caught up. */
  readonly quietMs: number
}

export interface ChaosReport {
  /** The broken promises. */
  readonly found: readonly string[]
  readonly counts: Readonly<Record<string, number>>
  /** What happened, one line each. */
  readonly timeline: readonly string[]
  /** The folder with the histories of sessions with problems. */
  readonly folder: string | undefined
}

/** Settings of the nodes: timeouts of seconds instead of a minute. */
export const CHAOS_ENV: Readonly<Record<string, string>> = {
  PARLEY_FIRST_TOKEN_MS: '3000',
  PARLEY_BETWEEN_TOKENS_MS: '2000',
  PARLEY_LEASE_MS: '2000',
  PARLEY_DRAIN: '2',
  PARLEY_OUTBOX_BYTES: '16384',
  PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '20000',
}

const CLIENTS_PER_SESSION = 3
/** Number of sessions that are checked concurrently: more readers from the beginning would overload the cluster. */
const CHECK_CONCURRENCY = 50
const FATAL = /"level":"fatal"|"(Type|Range|Reference|Syntax)Error"|unhandled/i

/** Applies the faults while clients act, heals the cluster, and checks every session. */
export async function chaosRound(options: ChaosOptions): Promise<ChaosReport> {
  const { cluster, name, faults, seed, seconds, sessions: count, paceMs, lengths } = options
  const injector = new FaultInjector(cluster)
  const logsBefore = cluster.nodes.map(({ server }) => server.logs.length)
  const urls = cluster.nodes.filter(({ role }) => role !== 'worker').map(({ url }) => url)
  const clientOptions = { paceMs, directive: directive(lengths), answerMs: 40_000, welcomeMs: 3_000 }
  const sessions = createSessions(count, name, urls, seeded(seed), clientOptions)
  const clients = sessions.flatMap((session) => session.clients)
  let stopped = false
  const acting = clients.map(async (client, index) => {
    // Spread out: this is no test of simultaneous connects.
    await sleep((index / clients.length) * Math.min(paceMs, 5_000))
    await client.act(() => stopped)
  })
  await Promise.all([injector.inject(faults), sleep(seconds * 1_000)])
  stopped = true
  await injector.heal()
  await Promise.all(acting)
  await Promise.all(clients.map((client) => client.stopActing()))
  injector.note('all clients are connected and only read')
  const found = [...(await checkSessions(sessions, options.quietMs)), ...injector.failures]
  injector.note('all sessions are checked')
  injector.close()
  for (const [index, { name: node, server }] of cluster.nodes.entries()) {
    const lines = server.logs.slice(logsBefore[index]).filter((line) => FATAL.test(line))
    found.push(...lines.slice(0, 5).map((line) => `${node} logged ${line.slice(0, 400)}`))
  }
  const { timeline } = injector
  const folder = found.length === 0 ? undefined : saveHistories(sessions, found, timeline, cluster, seed)
  return { found, counts: countRecords(sessions, timeline), timeline, folder }
}

/** The report of a failed round, for the person who looks for the cause. */
export function explain(report: ChaosReport, seed: number, faults: readonly Fault[]): string {
  const { found, timeline, folder, counts } = report
  return [
    `seed ${seed}: ${found.length} problems; PARLEY_TEST_SEED=${seed} repeats the round`,
    ...found.slice(0, 30),
    '',
    'planned:',
    ...faults.map(describeFault),
    'happened:',
    ...timeline,
    JSON.stringify(counts),
    folder === undefined ? '' : `histories and logs: ${folder}`,
  ].join('\n')
}

/** Sessions with three clients each: one uses MessagePack, another merged outputs. */
export function createSessions(
  count: number,
  name: string,
  urls: readonly string[],
  random: () => number,
  options: Partial<ChaosClientOptions> = {},
): ChaosSession[] {
  return Array.from({ length: count }, (_, number) => {
    const session = newChaosSession(`${name}_${number}`, urls)
    for (let index = 0; index < CLIENTS_PER_SESSION; index += 1) {
      new ChaosClient(session, {
        ...options,
        name: `${session.id}/${index}`,
        codec: index === 1 ? 'msgpack' : 'json',
        merge: index === 2,
        random: seeded(Math.floor(random() * 2 ** 32)),
      })
    }
    return session
  })
}

/** Waits until all runs have ended, checks every session, and disconnects the clients. @returns the broken promises */
export async function checkSessions(sessions: readonly ChaosSession[], quietMs: number): Promise<string[]> {
  const deadline = performance.now() + quietMs
  const remaining = (): number => Math.max(1, deadline - performance.now())
  const clients = sessions.flatMap((session) => session.clients)
  await Promise.all(clients.map((client) => client.waitFor(hasEnded, remaining())))
  const found: string[] = []
  for (let from = 0; from < sessions.length; from += CHECK_CONCURRENCY) {
    const some = sessions.slice(from, from + CHECK_CONCURRENCY)
    await Promise.all(some.map(async (session) => found.push(...(await checkSession(session, remaining)))))
  }
  return found
}

async function checkSession(session: ChaosSession, remaining: () => number): Promise<string[]> {
  // A new reader on every node: all clients must have the same picture as the first one.
  const fresh = session.urls.map((url, number) => {
    const name = `${session.id}/fresh${number + 1}`
    const options = { name, codec: 'json' as const, merge: false, random: () => 0.99, answerMs: 40_000 }
    return new ChaosClient({ ...session, urls: [url] }, options)
  })
  await Promise.all(fresh.map((client) => client.stopActing()))
  // The new readers share the list of clients. Clients that are behind may catch up first.
  const all = session.clients
  const [first] = fresh as [ChaosClient]
  const shown = (picture: SessionPicture): string => JSON.stringify([...runsOf(picture)].sort())
  // A message whose client was disconnected may be stored only now, and begin one more run.
  for (let isNew = true; isNew && remaining() > 1; ) {
    await Promise.all(fresh.map((client) => client.waitFor(hasEnded, remaining())))
    const expected = shown(first.picture)
    const isSame = (picture: SessionPicture): boolean => shown(picture) === expected
    await Promise.all(all.map((client) => client.waitFor(isSame, Math.min(remaining(), 10_000))))
    isNew = !isSame(first.picture)
  }
  const pictures = new Map(all.map((client) => [client.name, runsOf(client.picture)]))
  const faults = all.flatMap((client) => client.picture.faults.map((fault) => `${client.name}: ${fault}`))
  const broken = problems({ records: session.records, pictures, fresh: first.name })
  for (const client of all) client.disconnect()
  return [...session.faults, ...faults, ...broken].map((problem) => `${session.id}: ${problem}`)
}

/** A random message to the demo model: counts, reasoning, tools, failures, hangs, and sometimes very fast output. */
function directive(lengths: ChaosOptions['lengths']): (random: () => number) => string {
  const [most, slowest] = lengths === 'long' ? [85, 4] : [40, 12]
  return (random) => {
    const rate = slowest + Math.floor(random() * 20)
    const count = 5 + Math.floor(random() * (most - 5))
    const dice = random()
    if (dice < 0.2) {
      const second = random() < 0.5 ? ' tool=work input={"n":2}' : ''
      const reasoning = Math.floor(random() * 4)
      return `/demo tool=work input={"n":1}${second} reasoning=${reasoning} count=${count} rate=${rate} ttft=0`
    }
    if (dice < 0.25) return `/demo count=50 fail=${1 + Math.floor(random() * 20)} rate=${rate} ttft=0`
    if (dice < 0.3) return `/demo count=50 hang=${1 + Math.floor(random() * 20)} rate=${rate} ttft=0`
    if (dice < 0.33) return '/demo count=3000 rate=0 ttft=0'
    return `/demo reasoning=${Math.floor(random() * 10)} count=${count} rate=${rate} ttft=${Math.floor(random() * 300)}`
  }
}

function runsOf(picture: SessionPicture): ReadonlyMap<string, RunSeen> {
  return new Map(
    [...picture.runs].map(([id, { text, reasoning, next, ended }]) => [
      id,
      { text, reasoning, next, reason: ended?.reason },
    ]),
  )
}

/** Every run has ended, and every message has a run. */
function hasEnded(picture: SessionPicture): boolean {
  return (
    [...picture.runs.values()].every((run) => run.ended !== undefined) &&
    picture.events.every((event) => event.type !== 'message' || event.policy === 'steer' || picture.runs.has(event.run))
  )
}

function countRecords(sessions: readonly ChaosSession[], timeline: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = { sessions: sessions.length, timeline: timeline.length }
  const add = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1
  }
  for (const { records } of sessions) {
    const seen = new Set<string>()
    for (const record of records) {
      if (record.kind === 'attached' && record.reset) add('resets')
      add(record.kind === 'ok' ? `ok ${record.command.type}${record.duplicate ? ' again' : ''}` : record.kind)
      if (record.kind !== 'entry') continue
      const { event } = record
      if (event.type === 'run.started' && event.epoch > 1) seen.add(`failovers ${event.run} ${event.epoch}`)
      if (event.type === 'run.ended') seen.add(`${event.reason} ${event.run}`)
    }
    for (const what of seen) add(what.slice(0, what.indexOf(' ')))
  }
  return counts
}

function saveHistories(
  sessions: readonly ChaosSession[],
  found: readonly string[],
  timeline: readonly string[],
  cluster: ParleyCluster,
  seed: number,
): string {
  const folder = mkdtempSync(join(tmpdir(), `parley-chaos-${seed}-`))
  mkdirSync(join(folder, 'sessions'))
  writeFileSync(join(folder, 'found.txt'), [...found, '', ...timeline].join('\n'))
  for (const { id, sent, records } of sessions) {
    if (!found.some((problem) => problem.startsWith(`${id}: `))) continue
    const lines = [...sent, '', ...records].map((line) => JSON.stringify(line))
    writeFileSync(join(folder, 'sessions', `${id}.jsonl`), lines.join('\n'))
  }
  for (const { name, server } of cluster.nodes) writeFileSync(join(folder, `${name}.log`), server.logs.join('\n'))
  for (const server of cluster.nats) writeFileSync(join(folder, `nats-${server.name}.log`), server.logs.join('\n'))
  return folder
}
