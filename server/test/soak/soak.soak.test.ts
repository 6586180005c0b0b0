// npm run test:soak: one node under 300 busy sessions for two hours. Sessions end and new ones begin all the time; clients
// send, cancel, return large tool results, stop reading and drop their connections, over all transports. Every history is
// checked, and the server's memory and file descriptors stay flat.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../../bench/cluster/server-process.ts'
import { checkSessions, createSessions } from '../chaos/chaos.ts'
import { METRICS, Scrape } from '../scrape.ts'
import { seeded, TEST_SEED } from '../strict-client.ts'
import { readAtRandom } from '../transports/hopping-reader.ts'

const MINUTES = Number(process.env.PARLEY_SOAK_MINUTES ?? 120)
/** Sessions of three clients each over WebSocket, and sessions of one client that changes transports. */
const SHARED = 200
const HOPPING = 100
/** A shared session lives at least this long, at most twice as long. */
const LIFE_MS = 60_000
/** Time between the actions of a client, on average. */
const PACE_MS = 12_000
/** Time for the queued runs of a session to end. */
const QUIET_MS = 180_000
const SAMPLE_MS = 10_000
/** The medians of the last quarter may exceed those of the second quarter by this much. */
const GROWTH = 1.1
const OUT = 'artifacts/soak'

interface Sample {
  readonly minute: number
  /** Resident memory without mapped files: pages of the store count as the system's cache. */
  readonly memoryMb: number
  readonly heapMb: number
  readonly descriptors: number
  readonly sessions: number
  readonly runs: number
}

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start({
    ...METRICS,
    PARLEY_OUTBOX_BYTES: '16384',
    PARLEY_LEASE_MS: '2000',
    PARLEY_REQUEST_RATE: '100000',
    PARLEY_REQUEST_BURST: '100000',
    PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '20000',
    PARLEY_RUNS: '2000',
  })
})
afterAll(() => server.dispose())

it(`memory and descriptors stay flat for ${MINUTES} min (seed ${TEST_SEED})`, {
  timeout: (MINUTES + 10) * 60_000,
}, async () => {
  const until = performance.now() + MINUTES * 60_000
  const random = seeded(TEST_SEED)
  const counts = { sessions: 0, runs: 0 }
  const found: string[] = []
  const isOver = (): boolean => performance.now() >= until || found.length > 20
  const idle = descriptors()
  const work = [
    ...Array.from({ length: SHARED }, (_, lane) => sharedLane(lane, seeded(random() * 2 ** 32))),
    ...Array.from({ length: HOPPING }, () => hoppingLane(seeded(random() * 2 ** 32))),
  ]
  const [samples] = await Promise.all([sampled(), ...work])
  // Connections of `fetch` that are kept alive close after a few seconds.
  await expect.poll(descriptors, { timeout: 30_000, interval: 500 }).toBeLessThan(idle + 20)

  const [early, late] = [quarter(samples, 1), quarter(samples, 3)]
  process.stdout.write(
    `second quarter ${JSON.stringify(early)}, last quarter ${JSON.stringify(late)}, at the end ${descriptors()} descriptors (${idle} before)\n`,
  )
  expect(found).toEqual([])
  expect(server.logs.filter((line) => /"level":"(fatal|error)"|unhandled/i.test(line)).slice(0, 5)).toEqual([])
  expect(late.heapMb).toBeLessThan(early.heapMb * GROWTH)
  expect(late.memoryMb).toBeLessThan(early.memoryMb * GROWTH)
  expect(late.descriptors).toBeLessThan(early.descriptors * GROWTH)

  /** One shared session after the other: each is used, checked and deleted. */
  async function sharedLane(lane: number, draw: () => number): Promise<void> {
    await sleep(draw() * LIFE_MS)
    for (let number = 0; !isOver(); number += 1) {
      const [session] = createSessions(1, `soak_${lane}_${number}`, [server.url], draw, {
        paceMs: PACE_MS,
        answerMs: 40_000,
        directive,
        resultChars: (dice) => (dice() < 0.3 ? 200_000 : 100),
      })
      if (session === undefined) return
      const ends = Math.min(performance.now() + LIFE_MS * (1 + draw()), until)
      const stopped = (): boolean => performance.now() >= ends
      await Promise.all(session.clients.map((client) => client.act(stopped)))
      await Promise.all(session.clients.map((client) => client.stopActing()))
      counts.runs += session.clients[0]?.picture.runs.size ?? 0
      counts.sessions += 1
      found.push(...(await checkSessions([session], QUIET_MS)))
      const answer = await fetch(`http://127.0.0.1:${server.port}/v1/sessions/${session.id}`, { method: 'DELETE' })
      if (answer.status !== 204) found.push(`${session.id}: DELETE answered ${answer.status}`)
    }
  }

  async function hoppingLane(draw: () => number): Promise<void> {
    await sleep(draw() * LIFE_MS)
    const nodes = [`http://127.0.0.1:${server.port}`]
    while (!isOver()) {
      try {
        await readAtRandom({ nodes, random: draw, count: 60, rate: 6, stayMs: 3_000 })
        counts.runs += 1
      } catch (error) {
        found.push(String(error))
      }
      await sleep(draw() * PACE_MS)
    }
  }

  async function sampled(): Promise<Sample[]> {
    const samples: Sample[] = []
    mkdirSync(OUT, { recursive: true })
    const begun = performance.now()
    while (!isOver()) {
      await sleep(Math.min(SAMPLE_MS, Math.max(1, until - performance.now())))
      const minute = Number(((performance.now() - begun) / 60_000).toFixed(2))
      const scrape = await Scrape.of(server.port)
      const heapMb = Math.round(scrape.sum('nodejs_heap_size_used_bytes') / 1024 / 1024)
      samples.push({ minute, memoryMb: memoryMb(), heapMb, descriptors: descriptors(), ...counts })
      writeFileSync(`${OUT}/samples.json`, JSON.stringify({ seed: TEST_SEED, idle, found, samples }, undefined, 1))
      if (samples.length % 30 === 0) process.stdout.write(`${JSON.stringify(samples.at(-1))}\n`)
    }
    return samples
  }
})

function descriptors(): number {
  return readdirSync(`/proc/${server.pid}/fd`).length
}

function memoryMb(): number {
  const [, kb] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kb) / 1024)
}

/** The medians of one quarter of the run, from 0. The least memory would depend on a single collection of garbage. */
function quarter(samples: readonly Sample[], which: number): Pick<Sample, 'memoryMb' | 'heapMb' | 'descriptors'> {
  const part = samples.slice((samples.length / 4) * which, (samples.length / 4) * (which + 1))
  const median = (of: (sample: Sample) => number): number => {
    const sorted = part.map(of).sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? 0
  }
  return {
    memoryMb: median((sample) => sample.memoryMb),
    heapMb: median((sample) => sample.heapMb),
    descriptors: median((sample) => sample.descriptors),
  }
}

function directive(random: () => number): string {
  const rate = 8 + Math.floor(random() * 20)
  const count = 10 + Math.floor(random() * 40)
  if (random() < 0.3) return `/demo tool=work input={"n":1} count=${count} rate=${rate} ttft=0`
  return random() < 0.1 ? '/demo count=3000 rate=0 ttft=0' : `/demo count=${count} rate=${rate} ttft=0`
}
