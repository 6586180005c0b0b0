// Agents that ask others, on three nodes that are killed at random: every run ends, each child's text is exact, and a cancel of a parent
// leaves no child speaking. Clients stay on a fourth node, which drives no runs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Event } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ParleyCluster } from '../../bench/cluster/parley-cluster.ts'
import { brokenChildren } from './chaos/check-children.ts'
import { brokenDrivers } from './chaos/check-drivers.ts'
import { demoCount, StrictClient, seeded, TEST_SEED } from './strict-client.ts'

const PARENTS = Number(process.env.PARLEY_TEST_SESSIONS ?? 100)
const CHILDREN = 3
/** Tokens of each child: about eight seconds. */
const COUNT = 80
const KILLS = 10
const QUESTION = `/demo count=${COUNT} rate=10`
const ASK = `/demo ${`ask=worker message={${QUESTION}} `.repeat(CHILDREN)}count=5 rate=0`
/** Of ten parents, so many are cancelled, and one of the children of so many. */
const CANCELLED = 2
const STOPPED = 4

let cluster: ParleyCluster
const folder = mkdtempSync(join(tmpdir(), 'parley-agents-'))

beforeAll(async () => {
  const config = join(folder, 'parley.config.json')
  writeFileSync(config, JSON.stringify({ agents: { lead: { agents: ['worker'] }, worker: {} } }))
  const env = { PARLEY_CONFIG: config, PARLEY_ACK_WAIT_MS: '1500', PARLEY_LOG_LEVEL: 'warn' }
  cluster = await ParleyCluster.start({ nodes: 4, nats: 1, roles: ['gateway', 'worker', 'worker', 'worker'], env })
}, 120_000)
afterAll(async () => {
  await cluster.dispose()
  rmSync(folder, { recursive: true, force: true })
})

type Ended = Extract<Event, { type: 'run.ended' }>

/** The first end of each run, as the reader received it. */
function endsOf(events: readonly Event[]): ReadonlyMap<string, Ended> {
  const ends = new Map<string, Ended>()
  for (const event of events) if (event.type === 'run.ended' && !ends.has(event.run)) ends.set(event.run, event)
  return ends
}

describe(`agents that ask others, seed ${TEST_SEED}`, () => {
  it('end with the exact text of each child, whichever drivers are killed', { timeout: 300_000 }, async () => {
    const random = seeded(TEST_SEED)
    const [gateway, ...workers] = cluster.nodes
    const client = new StrictClient(gateway?.url ?? '')
    await client.connect()
    /** What each session's reader had when a cancel of its parent was acknowledged. */
    const atOk = new Map<string, number>()
    const parents = await Promise.all(
      Array.from({ length: PARENTS }, async (_, i) => {
        const session = `agents_${i}`
        await client.attach(session)
        const { run = '' } = await client.send(session, ASK, { agent: 'lead' })
        return { session, run, i }
      }),
    )
    const cancels = parents.map(async ({ session, run, i }) => {
      if (i % 10 >= STOPPED + CANCELLED) return
      const picture = client.session(session)
      const started = (event: Event): string | undefined =>
        event.type === 'run.started' && event.parent?.run === run ? event.run : undefined
      const speaks = (event: Event): boolean => event.type === 'run.output' && event.run !== run
      while (!picture.events.some(speaks))
        await client.frame((frame) => frame.type === 'entry' && frame.session === session && speaks(frame.event))
      await sleep(random() * 6_000)
      const child = picture.events.map(started).find((id) => id !== undefined)
      const target = i % 10 < CANCELLED ? run : child
      await client.command({ type: 'cancel', id: `c_${i}`, session, run: target })
      if (target === run) atOk.set(session, picture.events.length)
    })
    for (let kill = 0; kill < KILLS; kill += 1) {
      await sleep(1_000 + random() * 1_000)
      // One, or two at once.
      const first = Math.floor(random() * workers.length)
      const killed = workers.filter((_, at) => at === first || (at === (first + 1) % workers.length && kill % 3 === 0))
      await Promise.all(killed.map(({ server }) => server.kill()))
      await Promise.all(killed.map(({ server }) => server.start()))
    }
    await Promise.all(cancels)
    let takenOver = 0
    for (const { session, run, i } of parents) {
      await client.ended(session, run)
      const picture = client.session(session)
      expect(picture.faults).toEqual([])
      const log = picture.events.map((event, seq) => ({ seq, time: seq, event }))
      expect([...brokenChildren(log), ...brokenDrivers(log)]).toEqual([])
      const ends = endsOf(picture.events)
      const reason = i % 10 < CANCELLED ? ['cancelled', 'completed'] : ['completed']
      expect(reason).toContain(ends.get(run)?.reason)
      const asked = picture.events.flatMap((event) =>
        event.type === 'tool.called' && event.child ? [event.child.run] : [],
      )
      const children = [...new Set(asked)]
      // A parent whose driver died between two calls makes the rest with its next step, unless it is cancelled before.
      if (ends.get(run)?.reason === 'completed') expect(children).toHaveLength(CHILDREN)
      else expect(children.length).toBeLessThanOrEqual(CHILDREN)
      for (const child of children) {
        const { text } = picture.run(child)
        const end = ends.get(child)
        if (end?.reason === 'completed') expect(text).toBe(demoCount(COUNT))
        else expect(demoCount(COUNT).startsWith(text)).toBe(true)
        expect(end?.reason === 'completed' || i % 10 < STOPPED + CANCELLED).toBe(true)
      }
      if (ends.get(run)?.reason === 'completed') expect(picture.run(run).text.endsWith(demoCount(5))).toBe(true)
      const late = picture.events.slice(atOk.get(session) ?? picture.events.length)
      expect(late.filter((event) => event.type === 'run.output')).toEqual([])
      takenOver += picture.events.filter((event) => event.type === 'run.started' && event.epoch > 1).length
    }
    process.stdout.write(`${PARENTS} parents, ${PARENTS * CHILDREN} children, ${takenOver} take-overs\n`)
    expect(takenOver).toBeGreaterThan(0)
  })
})
