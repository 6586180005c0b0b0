// The marks of trimmed entries on a real server: sealed records, writers that race, and look-ups that are good for a time.
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
  const { prefix, marks: stream } = streams
  return new TrimWatermarks({ publisher, reader, prefix, stream, graceMs, recordChars: 200 })
}

const lasts = (from: number, to: number): Map<string, number> =>
  new Map(Array.from({ length: to - from }, (_, i) => [`in.command_${from + i}`, from + i]))

describe('marks', () => {
  it('are kept in records that are sealed when they are full, and found again', async () => {
    const marks = open()
    await marks.raise(0, 100)
    await marks.write('s', 50, lasts(1, 51))
    await marks.write('s', 100, lasts(40, 101))
    await marks.write('s', 100, lasts(1, 101))
    const found = await open().of('s', 0)
    expect(found.trimmed).toBe(100)
    expect(Date.now() - found.markedAt).toBeLessThan(60_000)
    expect(new Map([...found.lasts].sort(([, a], [, b]) => a - b))).toEqual(lasts(1, 101))
    const { length } = await reader.lasts(streams.marks, [`${streams.prefix}.mark.session.s.*`])
    expect(length).toBeGreaterThan(5)
    expect(length).toBeLessThan(20)
  })

  it('of writers that race are all there', async () => {
    const marks = open()
    await marks.raise(0, 100)
    await Promise.all([
      marks.write('s', 30, lasts(1, 31)),
      open().write('s', 60, lasts(31, 61)),
      open().write('s', 90, lasts(61, 91)),
    ])
    const found = await marks.of('s', 0)
    expect([found.trimmed, found.lasts.size]).toEqual([90, 90])
  })

  it('are not looked for while nothing was ever trimmed in the partition', async () => {
    const marks = open()
    await marks.write('s', 30, lasts(1, 31))
    expect((await marks.of('s', 0)).trimmed).toBe(0)
    await marks.raise(0, 30)
    expect((await marks.of('s', 0)).trimmed).toBe(30)
    expect((await marks.of('s', 1)).trimmed).toBe(0)
    await marks.raise(0, 20)
    expect(await marks.horizon(0)).toBe(30)
  })

  it('are looked up once for a third of the grace', async () => {
    const marks = open(60_000)
    expect(await marks.horizon(0)).toBe(0)
    await open(60_000).raise(0, 30)
    expect(await marks.horizon(0)).toBe(0)
    await marks.raise(0, 30)
    await open(60_000).write('s', 30, lasts(1, 31))
    expect((await marks.of('s', 0)).trimmed).toBe(30)
    await open(60_000).write('s', 40, lasts(31, 41))
    expect((await marks.of('s', 0)).trimmed).toBe(30)
    expect((await marks.look('s')).trimmed).toBe(40)
  })
})
