// Chaos: many sessions full of restless readers over a cluster to which a schedule of faults happens. When it is over and
// all is healed, every run has to end, somebody who was never there reads each session, and the histories are judged.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ParleyCluster } from '../../../bench/cluster/parley-cluster.ts'
import { pause, type SessionPicture, seeded } from '../strict-client.ts'
import { describeFault, type Fault } from './chaos-schedule.ts'
import { ChaosWorld } from './chaos-world.ts'
import { problems, type RunSeen } from './history.ts'
import { emptyRoom, RestlessReader, type Room } from './restless-reader.ts'

export interface ChaosOptions {
  readonly cluster: ParleyCluster
  /** Sessions of another round are others. */
  readonly name: string
  readonly seed: number
  readonly faults: readonly Fault[]
  /** How long readers do as they like, at least. */
  readonly seconds: number
  readonly sessions: number
  /** In each session. */
  readonly readers: number
  /** Milliseconds from one thing that a reader does to the next, on average. */
  readonly paceMs: number
  /** Of answers: a few seconds, or up to half a minute, so that something happens to most of them. */
  readonly lengths: 'short' | 'long'
  /** Milliseconds that runs may take to end, and readers to catch up, when all is healed. */
  readonly quietMs: number
}

export interface ChaosReport {
  /** Promises that were broken. None: all is well. */
  readonly found: readonly string[]
  readonly counts: Readonly<Record<string, number>>
  /** What happened, line by line. */
  readonly story: readonly string[]
  /** Where the histories of the sessions with problems are, for looking into. */
  readonly folder: string | undefined
}

/** Settings of nodes that go through chaos: what waits for a minute otherwise, waits for seconds. */
export const CHAOS_ENV: Readonly<Record<string, string>> = {
  PARLEY_FIRST_TOKEN_MS: '3000',
  PARLEY_BETWEEN_TOKENS_MS: '2000',
  PARLEY_LEASE_MS: '2000',
  PARLEY_DRAIN: '2',
  PARLEY_OUTBOX_BYTES: '16384',
  PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '20000',
}

interface Occupied {
  readonly room: Room
  readonly readers: readonly RestlessReader[]
}

/** A whole round: chaos, quiet, judgement. */
export async function chaosRound(options: ChaosOptions): Promise<ChaosReport> {
  const { cluster, faults, seed, seconds } = options
  const world = new ChaosWorld(cluster)
  const began = cluster.nodes.map(({ server }) => server.logs.length)
  const rooms = occupy(options)
  const readers = rooms.flatMap((occupied) => occupied.readers)
  let over = false
  const lives = readers.map(async (reader, index) => {
    // Not all at once: that would be another test.
    await pause((index / readers.length) * Math.min(options.paceMs, 5_000))
    await reader.live(() => over)
  })
  await Promise.all([world.play(faults), pause(seconds * 1_000)])
  over = true
  await world.heal()
  await Promise.all(lives)
  await Promise.all(readers.map((reader) => reader.settle()))
  world.note('every reader is there, and only reads')
  const found = [...(await judge(rooms, options)), ...world.deaths]
  world.note('all is judged')
  world.close()
  for (const [index, { name, server }] of cluster.nodes.entries()) {
    const lines = server.logs.slice(began[index]).filter((line) => FATAL.test(line))
    found.push(...lines.slice(0, 5).map((line) => `${name} logged ${line.slice(0, 400)}`))
  }
  const folder = found.length === 0 ? undefined : keep(rooms, found, world.story, cluster, seed)
  for (const { room, readers: all } of rooms) {
    for (const reader of all) reader.leave()
    room.readers.length = 0
  }
  return { found, counts: counted(rooms, world.story), story: world.story, folder }
}

/** For whoever has to find out why. */
export function explain({ found, story, folder, counts }: ChaosReport, seed: number, faults: readonly Fault[]): string {
  return [
    `seed ${seed}: ${found.length} problems; PARLEY_TEST_SEED=${seed} plays it again`,
    ...found.slice(0, 30),
    '',
    'planned:',
    ...faults.map(describeFault),
    'happened:',
    ...story,
    JSON.stringify(counts),
    folder === undefined ? '' : `histories and logs: ${folder}`,
  ].join('\n')
}

const FATAL = /"level":"fatal"|"(Type|Range|Reference|Syntax)Error"|unhandled/i

function occupy({ cluster, name, seed, sessions, readers, paceMs, lengths }: ChaosOptions): Occupied[] {
  const random = seeded(seed)
  const urls = cluster.nodes.filter(({ role }) => role !== 'worker').map(({ url }) => url)
  return Array.from({ length: sessions }, (_, number) => {
    const room = emptyRoom(`${name}_${number}`, urls)
    const all = Array.from({ length: readers }, (_, chair) => {
      const habits = {
        name: `${room.session}/${chair}`,
        codec: chair === 1 ? ('msgpack' as const) : ('json' as const),
        merge: chair === 2,
        random: seeded(Math.floor(random() * 2 ** 32)),
        paceMs,
        directive: directive(lengths),
        answerMs: 40_000,
        welcomeMs: 3_000,
      }
      return new RestlessReader(room, habits)
    })
    return { room, readers: all }
  })
}

/** What is asked of the demo model: counts, thoughts, tools, failures, silence, now and then a flood. */
function directive(lengths: ChaosOptions['lengths']): (random: () => number) => string {
  const [most, slowest] = lengths === 'long' ? [85, 4] : [40, 12]
  return (random) => {
    const rate = slowest + Math.floor(random() * 20)
    const count = 5 + Math.floor(random() * (most - 5))
    const dice = random()
    if (dice < 0.2) {
      const second = random() < 0.5 ? ' tool=work input={"n":2}' : ''
      const thoughts = Math.floor(random() * 4)
      return `/demo tool=work input={"n":1}${second} reasoning=${thoughts} count=${count} rate=${rate} ttft=0`
    }
    if (dice < 0.25) return `/demo count=50 fail=${1 + Math.floor(random() * 20)} rate=${rate} ttft=0`
    if (dice < 0.3) return `/demo count=50 hang=${1 + Math.floor(random() * 20)} rate=${rate} ttft=0`
    if (dice < 0.33) return '/demo count=3000 rate=0 ttft=0'
    return `/demo reasoning=${Math.floor(random() * 10)} count=${count} rate=${rate} ttft=${Math.floor(random() * 300)}`
  }
}

async function judge(rooms: readonly Occupied[], { quietMs }: ChaosOptions): Promise<string[]> {
  const quiet = performance.now() + quietMs
  const left = (): number => Math.max(1, quiet - performance.now())
  await Promise.all(rooms.flatMap(({ readers }) => readers.map((reader) => reader.sees(settled, left()))))
  const found: string[] = []
  // In bands: so many readers of everything at once would be a load of their own.
  for (let from = 0; from < rooms.length; from += 50) {
    await Promise.all(
      rooms.slice(from, from + 50).map(async (occupied) => found.push(...(await judgeRoom(occupied, left)))),
    )
  }
  return found
}

async function judgeRoom({ room, readers }: Occupied, left: () => number): Promise<string[]> {
  // Somebody new at every node: what the first of them sees is what everybody has to see.
  const fresh = room.urls.map((url, number) => {
    const name = `${room.session}/fresh${number + 1}`
    const habits = { name, codec: 'json' as const, merge: false, random: () => 0.99, answerMs: 20_000 }
    return new RestlessReader({ ...room, urls: [url] }, habits)
  })
  await Promise.all(fresh.map((reader) => reader.settle()))
  await Promise.all(fresh.map((reader) => reader.sees(settled, left())))
  const [first] = fresh as [RestlessReader]
  // Whoever is behind may catch up first.
  const expected = JSON.stringify([...pictureOf(first.picture)].sort())
  const same = (picture: SessionPicture): boolean => JSON.stringify([...pictureOf(picture)].sort()) === expected
  const all = [...fresh, ...readers]
  await Promise.all(all.map((reader) => reader.sees(same, Math.min(left(), 10_000))))
  const pictures = new Map(all.map((reader) => [reader.name, pictureOf(reader.picture)]))
  const faults = all.flatMap((reader) => reader.picture.faults.map((fault) => `${reader.name}: ${fault}`))
  for (const reader of fresh) reader.leave()
  const broken = problems({ records: room.records, pictures, fresh: first.name })
  return [...room.faults, ...faults, ...broken].map((problem) => `${room.session}: ${problem}`)
}

export function pictureOf(picture: SessionPicture): ReadonlyMap<string, RunSeen> {
  return new Map(
    [...picture.runs].map(([id, { text, reasoning, next, ended }]) => [
      id,
      { text, reasoning, next, reason: ended?.reason },
    ]),
  )
}

/** Every run has ended, and every message has its run. */
export function settled(picture: SessionPicture): boolean {
  return (
    [...picture.runs.values()].every((run) => run.ended !== undefined) &&
    picture.events.every((event) => event.type !== 'message' || event.policy === 'steer' || picture.runs.has(event.run))
  )
}

function counted(rooms: readonly Occupied[], story: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = { sessions: rooms.length, happenings: story.length }
  const add = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1
  }
  for (const { room } of rooms) {
    const seen = new Set<string>()
    for (const record of room.records) {
      if (record.kind === 'attached' && record.reset) add('resets')
      add(record.kind === 'ok' ? `ok ${record.command.type}${record.duplicate ? ' again' : ''}` : record.kind)
      if (record.kind !== 'entry') continue
      const { event } = record
      if (event.type === 'run.started' && event.epoch > 1) seen.add(`take-overs ${event.run} ${event.epoch}`)
      if (event.type === 'run.ended') seen.add(`${event.reason} ${event.run}`)
    }
    for (const what of seen) add(what.slice(0, what.indexOf(' ')))
  }
  return counts
}

function keep(
  rooms: readonly Occupied[],
  found: readonly string[],
  story: readonly string[],
  cluster: ParleyCluster,
  seed: number,
): string {
  const folder = mkdtempSync(join(tmpdir(), `parley-chaos-${seed}-`))
  mkdirSync(join(folder, 'sessions'))
  writeFileSync(join(folder, 'found.txt'), [...found, '', ...story].join('\n'))
  for (const { room } of rooms) {
    if (!found.some((problem) => problem.startsWith(`${room.session}: `))) continue
    const lines = [...room.sent, '', ...room.records].map((line) => JSON.stringify(line))
    writeFileSync(join(folder, 'sessions', `${room.session}.jsonl`), lines.join('\n'))
  }
  for (const { name, server } of cluster.nodes) writeFileSync(join(folder, `${name}.log`), server.logs.join('\n'))
  for (const server of cluster.nats) writeFileSync(join(folder, `nats-${server.name}.log`), server.logs.join('\n'))
  return folder
}
