// The epochs of a log on JetStream whose streams were restored: what a new one ends, and what goes on under it.
import { formatCursor } from '@parley/protocol'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../test/nats-server.ts'
import { renewStreamsEpoch } from './jetstream-epoch.ts'
import { CursorLost } from './log-error.ts'
import { collect, output } from './session-log.contract.ts'
import { JetStreamHarness } from './test/jetstream-harness.ts'

const logger = pino({ enabled: false })
let server: NatsServer
beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())

describe.each([1, 3])('a new epoch of a log in %i streams', (partitions) => {
  it('refuses cursors of those before, and reads transcripts on from where they are', async () => {
    const harness = await JetStreamHarness.open(server, { streams: { partitions } })
    const epoch = harness.log.epoch
    const entries = []
    for (let i = 0; i < 3; i += 1) entries.push(await harness.log.append('s', `in.${i}`, output(i), 0))
    const folded = entries[1]!.seq
    const cursor = formatCursor(epoch, folded)
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
    expect(transcript?.cursor).toBe(formatCursor(log.epoch, folded))
    expect(await collect(log, 's', transcript?.cursor ?? '')).toHaveLength(1)
    expect(await collect(log, 's', formatCursor(log.epoch, 0))).toHaveLength(3)
    await close()
  })
})
