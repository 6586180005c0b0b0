// A new epoch of a log on JetStream whose streams were restored: which cursors it invalidates, and which stay valid.
import { connect } from '@nats-io/transport-node'
import { formatCursor } from '@parley/protocol'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { SessionReplica } from '../../../session/session-replica.ts'
import { collect, output } from '../../contracts/session-log.contract.ts'
import type { Entry } from '../../ports/entry.ts'
import { CursorLost } from '../../ports/errors.ts'
import { JetStreamHarness } from '../../test/jetstream-harness.ts'
import { renewStreamsEpoch } from './epoch.ts'

const logger = pino({ enabled: false })
let server: NatsServer
beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())

describe.each([1, 3])('a new epoch of a log in %i streams', (partitions) => {
  it('rejects cursors of earlier epochs, and continues from the transcripts', async () => {
    const harness = await JetStreamHarness.open(server, { streams: { partitions } })
    const epoch = harness.log.epoch
    const entries = []
    for (let i = 0; i < 3; i += 1) entries.push(await harness.log.append('s', `in.${i}`, output(i), 0))
    const covered = entries[1]!.seq
    const cursor = formatCursor(epoch, covered)
    await harness.transcripts.save('s', { cursor, sealed: 0, entries: [], commands: [] }, 0)
    await harness.close()

    const streams = { prefix: harness.prefix, partitions }
    const first = await renewStreamsEpoch({ servers: [server.url], logger }, streams)
    const second = await renewStreamsEpoch({ servers: [server.url], logger }, streams)
    expect(first.before).toBe(epoch)
    expect(second.before).toBe(first.after)
    expect(new Set([epoch, first.after, second.after]).size).toBe(3)

    const { log, transcripts, close } = await harness.join()
    expect(log.epoch).toBe(second.after)
    await expect(collect(log, 's', cursor)).rejects.toEqual(new CursorLost('foreign'))
    const transcript = await transcripts.load('s')
    expect(transcript?.cursor).toBe(formatCursor(log.epoch, covered))
    expect(await collect(log, 's', transcript?.cursor ?? '')).toHaveLength(1)
    expect(await collect(log, 's', formatCursor(log.epoch, 0))).toHaveLength(3)
    await close()
  })
})

describe('a transcript that covers more than a log that lost its end', () => {
  it('is continued by entries with higher numbers', async () => {
    const harness = await JetStreamHarness.open(server)
    const left = await harness.log.append('s300', 'in.0', output(0), 0)
    const other = await harness.log.append('s', 'in.0', output(0), 0)
    const lost = other.seq + 1_200
    const cursorOf = (seq: number) => formatCursor(harness.log.epoch, seq)
    for (let i = 0; i < 600; i += 1) {
      const cursor = cursorOf(i === 300 ? lost : other.seq)
      await harness.transcripts.save(`s${i}`, { cursor, sealed: 0, entries: [], commands: [] }, 0)
    }
    await harness.close()
    await renewStreamsEpoch({ servers: [server.url], logger }, { prefix: harness.prefix })

    const { log, transcripts, close } = await harness.join()
    const transcript = await transcripts.load('s300')
    expect(await collect(log, 's300', transcript?.cursor ?? '')).toEqual([])
    const seen: number[] = []
    const follower = { entries: (entries: readonly Entry[]) => void seen.push(...entries.map(({ seq }) => seq)) }
    const subscription = await log.follow('s300', transcript?.cursor ?? '', follower)
    const next = await log.append('s300', 'in.1', output(1), 0)
    expect(seen).toEqual([next.seq])
    subscription.close()
    expect(next.seq).toBe(lost + 1)
    expect(await collect(log, 's300', transcript?.cursor ?? '')).toEqual([next])
    expect(await collect(log, 's', formatCursor(log.epoch, 0))).toHaveLength(1)
    await expect(log.append('s300', 'in.0', output(0), 0)).rejects.toMatchObject({ last: left.seq })
    await close()
  })
})

describe('transcripts whose log is gone', () => {
  const old = 50_000_000

  it('prevent the start of a node until a new epoch continues their sessions', async () => {
    const harness = await JetStreamHarness.open(server)
    const cursor = formatCursor(harness.log.epoch, old)
    await harness.transcripts.save('s', { cursor, sealed: 0, entries: [], commands: [] }, 0)
    await harness.close()
    const nats = await connect({ servers: server.url })
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    await nats.request(`$JS.API.STREAM.DELETE.${stream}`)
    await nats.close()
    const refused = new RegExp(`${stream} is gone, .*parley-server --new-epoch`)
    await expect(harness.join()).rejects.toThrow(refused)
    await expect(harness.join()).rejects.toThrow(refused)
    await renewStreamsEpoch({ servers: [server.url], logger }, { prefix: harness.prefix })

    const { log, transcripts, close } = await harness.join()
    const session = await SessionReplica.open({ log, transcripts }, 's')
    expect(session.state.seq).toBe(old)
    const next = await log.append('s', 'in.1', output(1), 0)
    expect(next.seq).toBeGreaterThan(old)
    session.close()
    await close()
  })
})
