// Connecting to NATS and opening the streams: what is created, and the errors of a failed start.
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
  const connection = await JetStreamConnection.open({ servers: [server.url], startTimeoutMs: 300, logger, ...options })
  disposals.push(() => connection.close())
  return connection
}

/** Starts a server for one test. */
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
  it('creates them once, so that nodes that start at the same time or later have the same epoch', async () => {
    const connections = await Promise.all([open(), open(), open()])
    const opened = await Promise.all(
      connections.map((connection) => openStreams(connection, { prefix: 'race', partitions: 3 })),
    )
    expect(new Set(opened.map(({ epoch }) => epoch)).size).toBe(1)
    expect(opened[0]?.partitions.map(({ stream }) => stream)).toEqual([0, 1, 2].map((i) => `RACE_SESSIONS_${i}`))
    const again = await openStreams(connections[0] as JetStreamConnection, { prefix: 'race', partitions: 3 })
    expect(again.epoch).toBe(opened[0]?.epoch)
  })

  it('has another epoch after a session stream was recreated', async () => {
    const connection = await open()
    const options: JetStreamStreamsOptions = { prefix: 'recreated', partitions: 2 }
    const before = await openStreams(connection, options)
    const manager = await jetstreamManager(connection.nats)
    await manager.streams.delete('RECREATED_SESSIONS_1')
    expect((await openStreams(connection, options)).epoch).not.toBe(before.epoch)
  })

  it('distributes sessions evenly, and always in the same way', async () => {
    const { partitionOf } = await openStreams(await open(), { prefix: 'spread', partitions: 4 })
    const counts = new Map<string, number>()
    for (let i = 0; i < 4000; i++) {
      const { stream } = partitionOf(`session-${i}`)
      counts.set(stream, (counts.get(stream) ?? 0) + 1)
    }
    for (const count of counts.values()) expect(count).toBeGreaterThan(800)
    expect(partitionOf('a-session').log).toBe('spread.log.p1')
  })

  it('names the field of a stream that differs, and does not change it', async () => {
    const connection = await open()
    await openStreams(connection, { prefix: 'differs' })
    expect(await problem(openStreams(connection, { prefix: 'differs', maxBytes: 1_000_000 }))).toMatch(
      /DIFFERS_SESSIONS is configured differently: max_bytes should be 1000000, and is -1\. Adapt the settings/,
    )
    await expect(openStreams(connection, { prefix: 'differs' })).resolves.toBeDefined()
  })

  it('reports too few servers for the replicas', async () => {
    expect(await problem(openStreams(await open(), { prefix: 'replicas', replicas: 3 }))).toMatch(
      /^cannot open stream REPLICAS_SESSIONS: .*PARLEY_NATS_REPLICAS requires as many servers/,
    )
  })
})

describe('connecting', () => {
  it('names the unreachable URL without its secrets', async () => {
    const message = await problem(open({ servers: ['nats://me:hush@127.0.0.1:1'] }))
    expect(message).toMatch(/^cannot connect to NATS at nats:\/\/127\.0\.0\.1:1: /)
    expect(message).not.toContain('hush')
  })

  it('waits for a server that starts later', async () => {
    const late = await serve({})
    await late.kill()
    const opening = open({ servers: [late.url], startTimeoutMs: 20_000 })
    await late.start()
    expect((await opening).state).toBe('live')
  })

  it('reports that JetStream is disabled', async () => {
    const plain = await serve({ jetstream: false })
    expect(await problem(open({ servers: [plain.url] }))).toMatch(
      /^NATS runs without JetStream: start nats-server with/,
    )
  })

  it.each([
    ['user and password', 'user: parley, password: hush', { user: 'parley', password: 'hush' }],
    ['a token', 'token: hush', { token: 'hush' }],
  ])('uses %s, and reports wrong credentials', async (_, authorization, credentials) => {
    const guarded = await serve({ config: `authorization { ${authorization} }` })
    await expect(open({ servers: [guarded.url], ...credentials })).resolves.toBeDefined()
    expect(await problem(open({ servers: [guarded.url], token: 'wrong' }))).toMatch(/^NATS rejected the credentials/)
  })

  it('uses an nkey seed file', async () => {
    const user = nkeys.createUser()
    const seed = Buffer.from(user.getSeed()).toString()
    const guarded = await serve({ config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }` })
    const nkeyFile = join(guarded.folder, 'seed')
    writeFileSync(nkeyFile, `${seed}\n`)
    await expect(open({ servers: [guarded.url], nkeyFile })).resolves.toBeDefined()
    expect(await problem(open({ servers: [guarded.url], nkeyFile: `${nkeyFile}.absent` }))).toMatch(
      /^cannot read the nkey seed file/,
    )
  })

  it('names the missing permissions', async () => {
    const guarded = await serve({
      config:
        'authorization { users: [{ user: u, password: p, permissions: { publish: ["$JS.API.INFO"], subscribe: ">" } }] }',
    })
    const connection = await open({ servers: [guarded.url], user: 'u', password: 'p' })
    expect(await problem(openStreams(connection))).toMatch(/Allow the NATS user to publish and subscribe/)
  })

  it('is away after the server dies, and live after it restarts', async () => {
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
