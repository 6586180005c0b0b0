// Trim watermarks on a real server: full records, racing writers, and the cache of lookups.
import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { JetStreamConnection } from '../connection.ts'
import { openStreams, type Streams } from '../streams.ts'
import { DirectReader } from './direct-reader.ts'
import { Publisher } from './publisher.ts'
import { TrimWatermarks } from './trim-watermarks.ts'

const logger = pino({ enabled: false })
let server: NatsServer
let connection: JetStreamConnection
let streams: Streams
let publisher: Publisher
let reader: DirectReader

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server.dispose()
})
beforeEach(async () => {
  connection = await JetStreamConnection.open({ servers: [server.url], logger })
  streams = await openStreams(connection, { prefix: `t${randomBytes(6).toString('hex')}` })
  publisher = new Publisher(connection.nats, logger)
  reader = new DirectReader(connection.nats)
})
afterEach(async () => {
  await publisher.close()
  reader.close()
  await connection.close()
})

function open(graceMs = 0): TrimWatermarks {
  const { prefix, watermarks: stream } = streams
  return new TrimWatermarks({ publisher, reader, prefix, stream, graceMs, recordChars: 200 })
}

const lastSeqs = (from: number, to: number): Map<string, number> =>
  new Map(Array.from({ length: to - from }, (_, i) => [`in.command_${from + i}`, from + i]))

describe('trim watermarks', () => {
  it('are stored in several records when one is full, and are read from all of them', async () => {
    const watermarks = open()
    await watermarks.raise(0, 100)
    await watermarks.write('s', 50, lastSeqs(1, 51))
    await watermarks.write('s', 100, lastSeqs(40, 101))
    await watermarks.write('s', 100, lastSeqs(1, 101))
    const found = await open().of('s', 0)
    expect(found.trimmed).toBe(100)
    expect(Date.now() - found.writtenAt).toBeLessThan(60_000)
    expect(new Map([...found.lastSeqs].sort(([, a], [, b]) => a - b))).toEqual(lastSeqs(1, 101))
    const { length } = await reader.lastBySubject(streams.watermarks, [`${streams.prefix}.mark.session.s.*`])
    expect(length).toBeGreaterThan(5)
    expect(length).toBeLessThan(20)
  })

  it('of racing writers are all stored', async () => {
    const watermarks = open()
    await watermarks.raise(0, 100)
    await Promise.all([
      watermarks.write('s', 30, lastSeqs(1, 31)),
      open().write('s', 60, lastSeqs(31, 61)),
      open().write('s', 90, lastSeqs(61, 91)),
    ])
    const found = await watermarks.of('s', 0)
    expect([found.trimmed, found.lastSeqs.size]).toEqual([90, 90])
  })

  it('are not looked up before the partition’s horizon is raised', async () => {
    const watermarks = open()
    await watermarks.write('s', 30, lastSeqs(1, 31))
    expect((await watermarks.of('s', 0)).trimmed).toBe(0)
    await watermarks.raise(0, 30)
    expect((await watermarks.of('s', 0)).trimmed).toBe(30)
    expect((await watermarks.of('s', 1)).trimmed).toBe(0)
    await watermarks.raise(0, 20)
    expect(await watermarks.horizon(0)).toBe(30)
  })

  it('are cached for a third of the grace period', async () => {
    const watermarks = open(60_000)
    expect(await watermarks.horizon(0)).toBe(0)
    await open(60_000).raise(0, 30)
    expect(await watermarks.horizon(0)).toBe(0)
    await watermarks.raise(0, 30)
    await open(60_000).write('s', 30, lastSeqs(1, 31))
    expect((await watermarks.of('s', 0)).trimmed).toBe(30)
    await open(60_000).write('s', 40, lastSeqs(31, 41))
    expect((await watermarks.of('s', 0)).trimmed).toBe(30)
    expect((await watermarks.lookUp('s')).trimmed).toBe(40)
  })
})
