// Purging from JetStream: the contract, the messages left in the streams, and nodes that had opened the session.
import { randomBytes } from 'node:crypto'
import { formatCursor } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { appendNext, deletedSession, output, purgeContract } from '../../contracts/purge.contract.ts'
import { collect } from '../../contracts/session-log.contract.ts'
import type { Entry } from '../../ports/entry.ts'
import { JetStreamHarness } from '../../test/jetstream-harness.ts'
import { messagesWith } from '../../test/stream-texts.ts'

let server: NatsServer

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server.dispose()
})

purgeContract('JetStream', () => JetStreamHarness.open(server))

describe('the streams', () => {
  it('contain nothing of a purged session, even if its entries were large', async () => {
    const harness = await JetStreamHarness.open(server)
    const { log, transcripts, runs } = harness.stores
    const large = `XYZZY${randomBytes(1_000_000).toString('hex')}`
    await appendNext(log, 's', 'in.large', output(0, large))
    const seq = await deletedSession(log, 's', 'XYZZY')
    await transcripts.save(
      's',
      { cursor: `e.${seq}`, sealed: 0, entries: [{ seq: 1, time: 1, json: large }], commands: [] },
      0,
    )
    await runs.offer({ session: 's', run: 'XYZZY', command: 'c' })
    const held = () => messagesWith(server.url, harness.prefix, 'XYZZY')
    expect((await held()).length).toBeGreaterThan(8)
    await transcripts.purge('s', formatCursor(log.epoch, seq - 1))
    await runs.drop('s')
    await log.purge('s', seq)
    expect(await held()).toEqual([])
    await harness.close()
  })

  it('reject appends of a node that did not see the deletion', async () => {
    const harness = await JetStreamHarness.open(server)
    const other = await harness.join()
    const seq = await deletedSession(harness.log, 's')
    const run = await other.log.last('s', 'run.r')
    await harness.log.purge('s', seq)
    await expect(other.log.append('s', 'run.r', output(9), run)).rejects.toMatchObject({ last: 0 })
    await other.close()
    await harness.close()
  })
})

describe('a session whose entries were all trimmed', () => {
  it('can be followed, even if the next entry has a trimmed predecessor', async () => {
    const harness = await JetStreamHarness.open(server, { retention: { maxAgeMs: 1_000 } })
    const first = await harness.log.append('s', 'run.r', output(0), 0)
    const cursor = formatCursor(harness.log.epoch, first.seq)
    await harness.transcripts.save('s', { cursor, sealed: 0, entries: [], commands: [] }, 0)
    harness.advance(60_000)
    await harness.log.sweep()
    await harness.reopen()
    expect(await collect(harness.log, 's', cursor)).toEqual([])
    const seen: number[] = []
    const lost: Error[] = []
    const follower = {
      entries: (batch: readonly Entry[]) => void seen.push(...batch.map(({ seq }) => seq)),
      lost: (error: Error) => void lost.push(error),
    }
    await harness.log.follow('s', cursor, follower)
    const next = await harness.log.append('s', 'run.r', output(1), first.seq)
    expect([seen, lost]).toEqual([[next.seq], []])
    await harness.close()
  })
})
