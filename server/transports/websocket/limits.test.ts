// Limits and bad input: each has its typed error or its close code, just over the bound and not just under it, and
// others notice nothing.
import { connect, type Socket } from 'node:net'
import { LIMITS } from '@parley/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { type TestClient, UpgradeRefused } from '../test/test-client.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness

async function open(options: HarnessOptions = {}): Promise<TransportHarness> {
  harness = await TransportHarness.open(options)
  return harness
}

afterEach(async () => {
  await harness.close()
})

async function lives(client: TestClient): Promise<void> {
  client.send({ type: 'ping', nonce: 'alive' })
  expect(await client.next('pong')).toEqual({ type: 'pong', nonce: 'alive' })
}

/** A frame of exactly so many bytes. */
function pingOf(bytes: number): string {
  const empty = '{"type":"ping","pad":""}'
  return `{"type":"ping","pad":"${'x'.repeat(bytes - empty.length)}"}`
}

/** A tool result that lies so many levels deep in its frame. */
function nested(levels: number): string {
  return `{"type":"tool.result","id":"t","session":"s","call":"c","output":${'['.repeat(levels)}${']'.repeat(levels)}}`
}

/** A WebSocket whose bytes a test writes by itself. */
async function rawSocket(): Promise<Socket> {
  const socket = connect(harness.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(
    'GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  await new Promise((resolve) => socket.once('data', resolve))
  return socket
}

/** A masked client frame (the mask is zero). @param head its first byte: FIN, reserved bits, opcode */
function rawFrame(head: number, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(head, 0x80 | payload.length, 0, 0, 0, 0), payload])
}

describe('frames', () => {
  test('that are not the schema’s get invalid_frame, with the id where there is a proper one', async () => {
    const client = await (await open()).enter()
    const wrong: [unknown, string | undefined][] = [
      [{ type: 'attach', id: 'a1' }, 'a1'],
      [{ type: 'attach', id: 'a2', session: 'no spaces' }, 'a2'],
      [{ type: 'attach', id: 'x'.repeat(10_000), session: 's' }, undefined],
      [{ type: 'attach', id: 'x'.repeat(129), session: 's' }, undefined],
      [{ type: 'attach', id: 7, session: 's' }, undefined],
      [{ type: 'send', id: 's1', session: 's', content: '' }, 's1'],
      [{ type: 'send', id: 's2', session: 's', content: [{ type: 'image' }] }, 's2'],
      [{ type: 'send', id: 's3', session: 's', content: 'x', policy: 'soon' }, 's3'],
      [{ type: 'cancel', id: 'c1', session: 's', seen: { run: 'r', index: -2 } }, 'c1'],
      [{ type: 'tool.result', id: 't1', session: 's', call: 'c', output: 1, error: 'both' }, 't1'],
      [{ id: 'n1' }, 'n1'],
      [{ type: 5, id: 'n2' }, 'n2'],
      ['hello', undefined],
      [17, undefined],
      [null, undefined],
      [[], undefined],
      [[[]], undefined],
    ]
    for (const [frame, id] of wrong) {
      client.bogus(frame)
      const error = await client.next('error')
      expect(error).toMatchObject({ code: 'invalid_frame', retryable: false })
      expect(error.id).toBe(id)
      expect(error.message.length).toBeLessThanOrEqual(200)
    }
    await lives(client)
  })

  test('of unknown types get unknown_type', async () => {
    const client = await (await open()).enter({ codec: 'msgpack' })
    for (const type of ['entry', 'toString', '__proto__', '', 'x'.repeat(10_000)]) {
      client.bogus({ type, id: 'u' })
      expect(await client.next('error')).toMatchObject({ id: 'u', code: 'unknown_type' })
    }
    await lives(client)
  })

  test('with ids of 128 characters are taken', async () => {
    const client = await (await open()).enter()
    const id = 'x'.repeat(128)
    client.send({ type: 'send', id, session: id, content: 'hi' })
    expect(await client.next('ok', id)).toMatchObject({ session: id })
  })

  test('are taken up to 256 in one message, and refused beyond', async () => {
    const client = await (await open()).enter()
    const pings = (count: number) => Array.from({ length: count }, () => ({ type: 'ping' as const }))
    client.send(...pings(LIMITS.batchFrames))
    await client.when(() => client.frames.filter(({ type }) => type === 'pong').length === LIMITS.batchFrames)
    client.send(...pings(LIMITS.batchFrames + 1))
    expect(await client.next('error')).toMatchObject({ code: 'invalid_frame' })
    await lives(client)
  })

  test('that are right are taken beside ones that are wrong', async () => {
    const client = await (await open()).enter()
    client.bogus([
      { type: 'nope', id: 'a' },
      { type: 'ping', nonce: 'n' },
      { type: 'attach', id: 'b' },
    ])
    expect(await client.next('error')).toMatchObject({ id: 'a', code: 'unknown_type' })
    expect(await client.next('pong')).toMatchObject({ nonce: 'n' })
    expect(await client.next('error')).toMatchObject({ id: 'b', code: 'invalid_frame' })
  })

  test('are taken up to the depth that is allowed', async () => {
    const client = await (await open()).enter()
    client.raw(nested(LIMITS.depth - 1))
    expect(await client.next('error', 't')).toMatchObject({ code: 'call_not_found' })
  })
})

describe('what cannot be decoded ends the connection', () => {
  test('with 4400: no JSON, no MessagePack, text on a binary connection and the other way round', async () => {
    await open()
    const bad: ['json' | 'msgpack', string | Uint8Array][] = [
      ['json', '{"type":'],
      ['json', ''],
      ['json', Buffer.from('{"type":"ping"}')],
      ['json', Uint8Array.of(0xff, 0xfe)],
      ['msgpack', '{"type":"ping"}'],
      ['msgpack', Uint8Array.of(0xc1)],
      ['msgpack', Uint8Array.of(0x81, 0xa4)],
      ['msgpack', new Uint8Array(0)],
      ['json', nested(100_000)],
      ['json', nested(LIMITS.depth)],
    ]
    for (const [codec, data] of bad) {
      const client = await harness.enter({ codec })
      client.raw(data)
      const { code, reason } = await client.closed
      expect(code).toBe(4400)
      expect(reason).toMatch(/^bad frame: not /)
    }
  })

  test('at once, without a close frame, where it is no WebSocket: uWebSockets.js cuts it', async () => {
    await open()
    const witness = await harness.enter()
    const text = 0x81
    const broken = [
      rawFrame(text, Uint8Array.of(0x22, 0xc3, 0x28, 0x22)),
      rawFrame(text, Uint8Array.of(0xed, 0xa0, 0x80)),
      rawFrame(0x83, new Uint8Array(0)),
      rawFrame(0xc1, Buffer.from('{}')),
      rawFrame(0x09, new Uint8Array(0)),
      rawFrame(0x80, Buffer.from('{}')),
    ]
    for (const bytes of broken) {
      const socket = await rawSocket()
      const gone = new Promise((resolve) => socket.once('close', resolve))
      socket.write(bytes)
      await gone
    }
    expect(harness.door.connections).toBe(1)
    await lives(witness)
  })
})

describe('sizes', () => {
  test('a message of 1 MiB is taken; with one byte more it ends the connection with 4413', async () => {
    await open()
    for (const codec of ['json', 'msgpack'] as const) {
      const client = await harness.enter({ codec })
      if (codec === 'json') {
        client.raw(pingOf(LIMITS.frameBytes))
        await client.next('pong')
        client.raw(pingOf(LIMITS.frameBytes + 1))
      } else {
        client.bogus({ type: 'ping', pad: 'x'.repeat(LIMITS.frameBytes - 64) })
        await client.next('pong')
        client.bogus({ type: 'ping', pad: 'x'.repeat(LIMITS.frameBytes) })
      }
      expect(await client.closed).toEqual({ code: 4413, reason: 'frame too large: at most 1048576 bytes' })
    }
  })

  test('a message of 10 MB ends the connection with 4413, its memory returns, and others notice nothing', async () => {
    await open()
    const witness = await harness.enter()
    const big = pingOf(10 * 1024 * 1024)
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const client = await harness.enter()
        client.raw(big)
        expect((await client.closed).code).toBe(4413)
      }),
    )
    const before = process.memoryUsage().rss
    for (let round = 0; round < 20; round += 1) {
      const client = await harness.enter()
      client.raw(big)
      expect((await client.closed).code).toBe(4413)
    }
    // Twenty more leave nothing like twenty times their size.
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
    await lives(witness)
  })
})

describe('rates and numbers', () => {
  test('commands beyond the burst get rate_limited and a time to come back; far beyond, 4429', async () => {
    await open({ limits: { commands: { perSecond: 1, burst: 10 } } })
    const client = await harness.enter()
    const ping = { type: 'ping' as const }
    // hello was the first of ten.
    client.send(...Array.from({ length: 9 }, () => ping))
    await client.when(() => client.frames.filter(({ type }) => type === 'pong').length === 9)
    client.send({ type: 'attach', id: 'a', session: 's' })
    const error = await client.next('error', 'a')
    expect(error).toMatchObject({ code: 'rate_limited', retryable: true })
    expect(error.retryAfterMs).toBeGreaterThanOrEqual(900)
    client.send(...Array.from({ length: 40 }, () => ping))
    await client.when(() => client.frames.filter(({ type }) => type === 'error').length === 41)
    client.send(...Array.from({ length: 40 }, () => ping))
    expect(await client.closed).toEqual({ code: 4429, reason: 'too many commands' })
  })

  test('a thousand commands at once are each answered', async () => {
    await open()
    const client = await harness.enter()
    const witness = await harness.enter()
    const ids = Array.from({ length: 1_000 }, (_, index) => `m${index}`)
    for (const id of ids) client.send({ type: 'send', id, session: `s-${id}`, content: 'hi' })
    await lives(witness)
    await client.when(() => client.frames.filter(({ type }) => type === 'ok' || type === 'error').length === 1_000)
    expect(client.frames.filter(({ type }) => type === 'ok')).toHaveLength(1_000)
  })

  test('commands that are not answered yet are bounded by their bytes', async () => {
    await open()
    const client = await harness.enter()
    const content = 'x'.repeat(LIMITS.messageChars)
    for (let index = 0; index < 12; index += 1) client.send({ type: 'send', id: `m${index}`, session: 's', content })
    await client.when(() => client.frames.filter(({ type }) => type === 'ok' || type === 'error').length === 12)
    const errors = client.frames.filter((frame) => frame.type === 'error')
    for (const error of errors) expect(error).toMatchObject({ code: 'rate_limited', retryAfterMs: 1_000 })
    await lives(client)
  })

  test('sessions of one connection: as many as it may, then too_many_sessions until one is given up', async () => {
    await open({ limits: { attachedSessions: 3 } })
    const client = await harness.enter()
    const attach = (session: string) => client.send({ type: 'attach', id: `a-${session}`, session })
    for (const session of ['s1', 's2', 's3']) {
      attach(session)
      await client.next('live')
    }
    attach('s4')
    expect(await client.next('error', 'a-s4')).toMatchObject({ code: 'too_many_sessions' })
    attach('s2')
    await client.next('live')
    client.send({ type: 'detach', id: 'd', session: 's1' })
    await client.next('ok', 'd')
    attach('s4')
    await client.next('live')
  })

  test('connections from one address: 429 for one too many, and room again when one goes', async () => {
    await open({ limits: { connections: { total: 100, perAddress: 3 } } })
    const first = await harness.enter()
    await harness.enter()
    await harness.enter()
    await expect(harness.connect()).rejects.toEqual(new UpgradeRefused(429))
    first.socket.close()
    await first.closed
    await harness.enter()
  })

  test('connections in all: 503 for one too many', async () => {
    await open({ limits: { connections: { total: 2, perAddress: 100 } } })
    await harness.enter()
    await harness.enter()
    await expect(harness.connect()).rejects.toEqual(new UpgradeRefused(503))
  })
})

describe('sockets that say nothing', () => {
  test('two thousand that never say hello are closed with 4408, while others go on', async () => {
    await open({ limits: { helloMs: 5_000 } })
    const witness = await harness.enter()
    const silent: TestClient[] = []
    for (let batch = 0; batch < 20; batch += 1) {
      silent.push(...(await Promise.all(Array.from({ length: 100 }, () => harness.connect()))))
    }
    // On a slow machine the first ones are gone before the last ones come.
    expect(harness.door.connections).toBeGreaterThan(500)
    await lives(witness)
    const codes = await Promise.all(silent.map(async (client) => (await client.closed).code))
    expect(new Set(codes)).toEqual(new Set([4408]))
    expect(harness.door.connections).toBe(1)
    await lives(witness)
  }, 20_000)

  test('a half-open one is pinged, and dropped when it does not answer', async () => {
    await open({ limits: { heartbeatMs: 1_000, helloMs: 60_000 } })
    const witness = await harness.enter()
    const pinged = new Promise((resolve) => witness.socket.once('ping', resolve))
    const dead = await rawSocket()
    expect(harness.door.connections).toBe(2)
    const gone = new Promise((resolve) => dead.once('close', resolve))
    await Promise.all([pinged, gone])
    expect(harness.door.connections).toBe(1)
    await lives(witness)
  })
})
