// Deletions on both stores: a node completes those that another node left unfinished, and the id of a deleted session
// stays reserved for a limited time.
import { type Event, ReplyError, type Send } from '@parley/protocol'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import { JetStreamHarness } from '../../store/test/jetstream-harness.ts'
import { LmdbHarness } from '../../store/test/lmdb-harness.ts'
import { SessionCache } from '../session-cache.ts'
import { createSessionService, type SessionService } from '../session-service.ts'
import { TRANSCRIPT_DEFAULTS, TranscriptWriter } from '../transcript/transcript-writer.ts'
import { DirectoryService } from './directory-service.ts'
import { Purger } from './purger.ts'
import { SessionAdmin } from './session-admin.ts'

const logger = pino({ level: 'warn' }, {
  write: (s: string) => {
    throw new Error(s)
  },
} as never)
const KEPT_MS = 60_000
const RETENTION = { maxAgeMs: 60_000, maxBytes: 1e9 }
const ANN = { connection: 'c', user: 'ann', role: 'owner' }

let server: NatsServer
beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())

interface Stores extends Pick<LmdbHarness, 'transcripts' | 'runs' | 'directory' | 'deletions'> {
  readonly log: SessionLog
}

/** The parts of a node that take part in a deletion. */
function nodeOn({ log, transcripts, runs, directory: lists, deletions }: Stores) {
  const stores = { log, transcripts, runs, directory: lists, deletions }
  let now = Date.now()
  const sessions = new SessionCache(stores, { lingerMs: 0, maxIdle: 0 })
  const common = { logger, now: () => now }
  const directory = new DirectoryService({ ...common, directory: stores.directory, gatherMs: 1 })
  const purger = new Purger({ ...common, stores, sessions, keptMs: KEPT_MS, intervalMs: 3_600_000 })
  const service = createSessionService({
    ...common,
    stores,
    sessions,
    checkChoice: () => undefined,
    serverTools: new Set(),
    open: false,
    leaseMs: 1_000,
    directory,
    purgeAgain: (session, seq) => purger.purgeAgain(session, seq),
  })
  return {
    service,
    directory,
    purger,
    sessionAdmin: new SessionAdmin({ log: stores.log, sessions, directory, purger, open: false }),
    now: () => now,
    async compact() {
      const writer = new TranscriptWriter(stores, { ...TRANSCRIPT_DEFAULTS, logger })
      await sessions.with('s', (session) => writer.compact(session, true))
    },
    advance(ms: number) {
      now += ms
    },
    async close() {
      await Promise.all([directory.close(), purger.close()])
      sessions.close()
    },
  }
}

type Node = ReturnType<typeof nodeOn>

describe.each([
  ['LMDB', () => LmdbHarness.open({ retention: RETENTION })],
  ['JetStream', () => JetStreamHarness.open(server, { retention: RETENTION })],
] as const)('a deletion on %s', (_, open) => {
  let harness: Awaited<ReturnType<typeof open>>
  let node: Node

  beforeEach(async () => {
    harness = await open()
    node = nodeOn(harness)
  })
  afterEach(async () => {
    await node.close()
    await harness.close()
  })

  const post = (service: SessionService, id: string) => {
    const command: Send = { type: 'send', id, session: 's', content: `secret ${id}` }
    return service.send(command, ANN).catch((error: unknown) => {
      if (error instanceof ReplyError) return error.code
      throw error
    })
  }

  async function subjects(): Promise<string[]> {
    const found: string[] = []
    for await (const batch of harness.log.read('s', `${harness.log.epoch}.0`)) {
      found.push(...batch.map(({ subject }) => subject))
    }
    return found
  }

  const stages = async () => {
    const all = await Promise.all((['begun', 'purged', 'kept'] as const).map((one) => harness.deletions.list(one, 9)))
    return all.map((list) => list.length).join()
  }

  /** The state that a node leaves if it dies between the append and the purge. */
  async function leaveUnfinished(): Promise<void> {
    await post(node.service, 'm1')
    await node.directory.flush()
    await harness.deletions.put({ session: 's', at: node.now() }, 'begun')
    const event: Event = { type: 'session.deleted', by: 'ann', command: 'd' }
    await harness.log.append('s', 'meta', event, await harness.log.last('s', 'meta'), { rollup: true })
  }

  it('is completed by a node that starts if its node died', async () => {
    await leaveUnfinished()
    expect(await harness.log.last('s', 'in.m1')).toBeGreaterThan(0)
    await node.purger.start()
    expect(await subjects()).toEqual(['meta'])
    expect(await harness.directory.list('ann', 9)).toEqual([])
    expect(await stages()).toBe('0,1,0')
  })

  it('is completed by a running node after the takeover time if its node died', async () => {
    await leaveUnfinished()
    await node.purger.sweep()
    expect(await stages()).toBe('1,0,0')
    node.advance(5_000)
    await node.purger.sweep()
    expect(await subjects()).toEqual(['meta'])
    expect(await stages()).toBe('0,1,0')
  })

  it('is removed from the list if it was never appended, and the session continues', async () => {
    await post(node.service, 'm1')
    await harness.deletions.put({ session: 's', at: node.now() }, 'begun')
    node.advance(29_000)
    await node.purger.sweep()
    expect(await stages()).toBe('1,0,0')
    node.advance(2_000)
    await node.purger.sweep()
    expect(await stages()).toBe('0,0,0')
    expect(await post(node.service, 'm2')).toMatchObject({ message: 'm2' })
  })

  it('purges again when every node has read the deletion', async () => {
    await post(node.service, 'm1')
    await node.sessionAdmin.delete('s', ANN, 'd')
    expect(await stages()).toBe('0,1,0')
    await harness.log.append('s', 'in.late', { type: 'session.updated', title: 'late' }, 0)
    node.advance(31_000)
    await node.purger.sweep()
    expect(await subjects()).toEqual(['meta'])
    expect(await stages()).toBe('0,0,1')
  })

  it('discards concurrent messages and notifies their senders', async () => {
    await post(node.service, 'm0')
    const sending = Array.from({ length: 20 }, (_, i) => post(node.service, `m${i + 1}`))
    const [, ...answers] = await Promise.all([node.sessionAdmin.delete('s', ANN, 'd'), ...sending])
    for (const answer of answers)
      if (answer !== 'session_deleted') expect(answer).toMatchObject({ cursor: expect.anything() })
    expect(await post(node.service, 'after')).toBe('session_deleted')
    expect(await subjects()).toEqual(['meta'])
  })

  it('removes the transcript of a compacted and trimmed session', async () => {
    for (const id of ['m1', 'm2']) await post(node.service, id)
    await node.compact()
    harness.advance(RETENTION.maxAgeMs * 2)
    await harness.log.sweep()
    await expect(subjects()).rejects.toThrow('trimmed')
    await node.sessionAdmin.delete('s', ANN, 'd')
    const other = nodeOn(harness)
    expect([await post(other.service, 'm1'), await post(node.service, 'm3')]).toEqual([
      'session_deleted',
      'session_deleted',
    ])
    expect(JSON.stringify(await harness.transcripts.load('s'))).not.toContain('secret')
    await other.close()
  })

  it('reserves the id for the retention time, and then releases it', async () => {
    await post(node.service, 'm1')
    await node.sessionAdmin.delete('s', ANN, 'd')
    node.advance(31_000)
    await node.purger.sweep()
    expect(await post(node.service, 'm1')).toBe('session_deleted')
    node.advance(KEPT_MS)
    await node.purger.sweep()
    expect([await stages(), await subjects()]).toEqual(['0,0,0', []])
    expect(await post(node.service, 'm1')).toMatchObject({ message: 'm1' })
    await node.directory.flush()
    expect(await harness.directory.list('ann', 9)).toMatchObject([{ session: 's', role: 'owner' }])
  })
})
