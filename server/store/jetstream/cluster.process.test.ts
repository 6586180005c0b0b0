// The JetStream log on three replicated servers whose leader is killed repeatedly.
import { setTimeout as sleep } from 'node:timers/promises'
import { formatCursor } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsCluster } from '../../../bench/cluster/nats-server.ts'
import { collect, output } from '../contracts/session-log.contract.ts'
import type { Entry } from '../ports/entry.ts'
import { JetStreamHarness } from '../test/jetstream-harness.ts'
import type { JetStreamStores } from './stores.ts'

let cluster: NatsCluster
let harness: JetStreamHarness
let nodes: JetStreamStores[]

beforeAll(async () => {
  cluster = await NatsCluster.start()
  const server = { url: cluster.url, restart: () => Promise.reject(new Error('a cluster cannot be restarted')) }
  harness = await JetStreamHarness.open(server, { streams: { replicas: 3 }, log: { limits: { deadlineMs: 30_000 } } })
  nodes = [harness.stores, await harness.join(), await harness.join()]
})
afterAll(async () => {
  await Promise.all(nodes.slice(1).map((node) => node.close()))
  await harness.close()
  await cluster.dispose()
})

const SESSIONS = ['s0', 's1', 's2', 's3']

describe('a cluster whose leader is killed', () => {
  it('stores each append once, and delivers the same order to all readers', async () => {
    const [first] = nodes as [JetStreamStores, ...JetStreamStores[]]
    const begin = formatCursor(first.log.epoch, 0)
    const readers = nodes.flatMap(({ log }) =>
      SESSIONS.map(async (session) => {
        const reader = { session, seen: [] as number[], lost: 0 }
        const open = async (): Promise<void> => {
          reader.seen.length = 0
          await log.follow(session, begin, {
            entries: (batch) => reader.seen.push(...batch.map(({ seq }) => seq)),
            lost: () => {
              reader.lost += 1
              open().catch(() => undefined)
            },
          })
        }
        await open()
        return reader
      }),
    )
    const followed = await Promise.all(readers)
    let done = false
    // Every node appends to every session, on its own subject.
    const appendUntilDone = async (node: number, session: string): Promise<Entry[]> => {
      const entries: Entry[] = []
      while (!done) {
        const log = (nodes[node] as JetStreamStores).log
        const last = entries.at(-1)?.seq ?? 0
        entries.push(await log.append(session, `run.${node}`, output(entries.length), last))
        // A subject's first entry has no predecessor, so a gap does not reveal its loss.
        if (entries.length % 4 === 0) await log.append(session, `in.${node}-${entries.length}`, output(0), 0)
      }
      return entries
    }
    const appending = nodes.flatMap((_, node) => SESSIONS.map((session) => appendUntilDone(node, session)))
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    for (let round = 0; round < 2; round++) {
      await sleep(500)
      const leader = await cluster.leaderOf(stream)
      await leader?.restart('SIGKILL')
      await cluster.ready()
    }
    done = true
    const appended = await Promise.all(appending)
    const stored = new Map<string, Entry[]>()
    for (const session of SESSIONS) stored.set(session, await collect(first.log, session, begin))
    for (const [index, entries] of appended.entries()) {
      const session = SESSIONS[index % SESSIONS.length] as string
      const subject = `run.${Math.floor(index / SESSIONS.length)}`
      const own = stored.get(session)?.filter((entry) => entry.subject === subject)
      expect(own?.map(({ seq }) => seq)).toEqual(entries.map(({ seq }) => seq))
      expect(entries.length).toBeGreaterThan(10)
    }
    for (const { session, seen } of followed) {
      const seqs = stored.get(session)?.map(({ seq }) => seq) ?? []
      // The last entry of another node may still be on its way.
      await expect.poll(() => seen.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(seqs.length)
      expect(seen).toEqual(seqs)
    }
  })
})
