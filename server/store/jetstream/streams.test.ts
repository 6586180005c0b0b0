// Connecting to NATS and opening the streams: what is created, and what the start says when something is wrong.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { nkeys } from '@nats-io/transport-node'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { JetStreamConnection, type JetStreamConnectionOptions, JetStreamStartError } from './connection.ts'
import { type JetStreamStreamsOptions, openStreams } from './streams.ts'

const logger = pino({ enabled: false })
const disposals: (() => Promise<unknown>)[] = []
let server: NatsServer

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose()
})

async function open(options: Partial<JetStreamConnectionOptions> = {}): Promise<JetStreamConnection> {
  const connection = await JetStreamConnection.open({ servers: [server.url], patienceMs: 300, logger, ...options })
  disposals.push(() => connection.close())
  return connection
}

/** A server of its own. */
async function serve(options: Parameters<typeof NatsServer.start>[0]): Promise<NatsServer> {
  const other = await NatsServer.start(options)
  disposals.push(() => other.dispose())
  return other
}

async function problem(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(JetStreamStartError)
  return (error as Error).message
}

describe('opening the streams', () => {
  it('creates them once: all who come agree on one epoch, also those who come at the same time', async () => {
    const connections = await Promise.all([open(), open(), open()])
    const opened = await Promise.all(connections.map((one) => openStreams(one, { prefix: 'race', partitions: 3 })))
    expect(new Set(opened.map(({ epoch }) => epoch)).size).toBe(1)
    expect(opened[0]?.partitions.map(({ stream }) => stream)).toEqual([0, 1, 2].map((i) => `RACE_SESSIONS_${i}`))
    const again = await openStreams(connections[0] as JetStreamConnection, { prefix: 'race', partitions: 3 })
    expect(again.epoch).toBe(opened[0]?.epoch)
  })

  it('has another epoch when a stream of sessions was made anew', async () => {
    const connection = await open()
    const options: JetStreamStreamsOptions = { prefix: 'anew', partitions: 2 }
    const before = await openStreams(connection, options)
    const manager = await jetstreamManager(connection.nats)
    await manager.streams.delete('ANEW_SESSIONS_1')
    expect((await openStreams(connection, options)).epoch).not.toBe(before.epoch)
  })

  it('spreads sessions evenly, and always in the same way', async () => {
    const { partitionOf } = await openStreams(await open(), { prefix: 'spread', partitions: 4 })
    const counts = new Map<string, number>()
    for (let i = 0; i < 4000; i++) {
      const { stream } = partitionOf(`session-${i}`)
      counts.set(stream, (counts.get(stream) ?? 0) + 1)
    }
    for (const count of counts.values()) expect(count).toBeGreaterThan(800)
    expect(partitionOf('a-session').log).toBe('spread.log.p1')
  })

  it('says which field of a stream differs, and leaves it as it is', async () => {
    const connection = await open()
    await openStreams(connection, { prefix: 'differs' })
    expect(await problem(openStreams(connection, { prefix: 'differs', maxBytes: 1_000_000 }))).toMatch(
      /DIFFERS_SESSIONS is configured differently: max_bytes should be 1000000, and is -1\. Change the settings/,
    )
    await expect(openStreams(connection, { prefix: 'differs' })).resolves.toBeDefined()
  })

  it('says when there are too few servers for the replicas', async () => {
    expect(await problem(openStreams(await open(), { prefix: 'replicas', replicas: 3 }))).toMatch(
      /REPLICAS_SESSIONS cannot be opened: .*PARLEY_NATS_REPLICAS needs as many servers/,
    )
  })
})

describe('connecting', () => {
  it('says where NATS could not be reached, without the secrets of the URL', async () => {
    const message = await problem(open({ servers: ['nats://me:hush@127.0.0.1:1'] }))
    expect(message).toMatch(/^NATS cannot be reached at nats:\/\/127\.0\.0\.1:1: /)
    expect(message).not.toContain('hush')
  })

  it('waits for a server that is about to start', async () => {
    const late = await serve({})
    await late.kill()
    const opening = open({ servers: [late.url], patienceMs: 20_000 })
    await late.start()
    expect((await opening).state).toBe('live')
  })

  it('says that JetStream is off', async () => {
    const plain = await serve({ jetstream: false })
    expect(await problem(open({ servers: [plain.url] }))).toMatch(
      /^NATS runs without JetStream: start nats-server with/,
    )
  })

  it.each([
    ['user and password', 'user: parley, password: hush', { user: 'parley', password: 'hush' }],
    ['a token', 'token: hush', { token: 'hush' }],
  ])('uses %s, and says when they are wrong', async (_, authorization, credentials) => {
    const guarded = await serve({ config: `authorization { ${authorization} }` })
    await expect(open({ servers: [guarded.url], ...credentials })).resolves.toBeDefined()
    expect(await problem(open({ servers: [guarded.url], token: 'wrong' }))).toMatch(/^NATS refuses the credentials/)
  })

  it('uses the seed in a file of an nkey', async () => {
    const user = nkeys.createUser()
    const seed = Buffer.from(user.getSeed()).toString()
    const guarded = await serve({ config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }` })
    const nkeyFile = join(guarded.folder, 'seed')
    writeFileSync(nkeyFile, `${seed}\n`)
    await expect(open({ servers: [guarded.url], nkeyFile })).resolves.toBeDefined()
    expect(await problem(open({ servers: [guarded.url], nkeyFile: `${nkeyFile}.absent` }))).toMatch(
      /^the file of the nkey seed cannot be read/,
    )
  })

  it('says which permissions are missing', async () => {
    const guarded = await serve({
      config:
        'authorization { users: [{ user: u, password: p, permissions: { publish: ["$JS.API.INFO"], subscribe: ">" } }] }',
    })
    const connection = await open({ servers: [guarded.url], user: 'u', password: 'p' })
    expect(await problem(openStreams(connection))).toMatch(/The NATS user needs to publish and subscribe/)
  })

  it('is away when the server dies, and live when it is back', async () => {
    const mortal = await serve({})
    const connection = await open({ servers: [mortal.url] })
    const states: string[] = []
    const changes = new Map<string, () => void>()
    connection.onState((state) => {
      states.push(state)
      changes.get(state)?.()
    })
    const away = new Promise<void>((resolve) => changes.set('away', resolve))
    const live = new Promise<void>((resolve) => changes.set('live', resolve))
    await mortal.kill()
    await away
    expect(connection.state).toBe('away')
    await mortal.start()
    await live
    await connection.close()
    expect(states).toEqual(['away', 'live', 'closed'])
  })
})
