// Limits and invalid input: each has its error code or close code, exactly from the limit on, and does not affect other
// clients.
import { codecs, ExactNumber, LIMITS, stringifyJson } from '@parley/protocol'
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

async function expectAlive(client: TestClient): Promise<void> {
  client.send({ type: 'ping', nonce: 'alive' })
  expect(await client.next('pong')).toEqual({ type: 'pong', nonce: 'alive' })
}

/** A frame of exactly `bytes` bytes. */
function pingOf(bytes: number): string {
  const empty = '{"type":"ping","pad":""}'
  return `{"type":"ping","pad":"${'x'.repeat(bytes - empty.length)}"}`
}

/** A tool result frame whose output is nested `levels` deep. */
function nested(levels: number): string {
  return `{"type":"tool.result","id":"t","session":"s","call":"c","output":${'['.repeat(levels)}${']'.repeat(levels)}}`
}

/** A masked client frame (the mask is zero). @param head its first byte: FIN, reserved bits, opcode */
function rawFrame(head: number, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(head, 0x80 | payload.length, 0, 0, 0, 0), payload])
}

describe('frames', () => {
  test('that violate the schema get invalid_frame, with the id if it is valid', async () => {
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
      client.sendInvalid(frame)
      const error = await client.next('error')
      expect(error).toMatchObject({ code: 'invalid_frame', retryable: false })
      expect(error.id).toBe(id)
      expect(error.message.length).toBeLessThanOrEqual(200)
    }
    await expectAlive(client)
  })

  test('of an unknown type get unknown_type', async () => {
    const client = await (await open()).enter({ codec: 'msgpack' })
    for (const type of ['entry', 'toString', '__proto__', '', 'x'.repeat(10_000)]) {
      client.sendInvalid({ type, id: 'u' })
      expect(await client.next('error')).toMatchObject({ id: 'u', code: 'unknown_type' })
    }
    await expectAlive(client)
  })

  test('with ids of 128 characters are accepted', async () => {
    const client = await (await open()).enter()
    const id = 'x'.repeat(128)
    client.send({ type: 'send', id, session: id, content: 'hi' })
    expect(await client.next('ok', id)).toMatchObject({ session: id })
  })

  test('are accepted up to 256 in one message', async () => {
    const client = await (await open()).enter()
    const pings = (count: number) => Array.from({ length: count }, () => ({ type: 'ping' as const }))
    client.send(...pings(LIMITS.batchFrames))
    await client.when(() => client.frames.filter(({ type }) => type === 'pong').length === LIMITS.batchFrames)
    client.send(...pings(LIMITS.batchFrames + 1))
    expect(await client.next('error')).toMatchObject({ code: 'invalid_frame' })
    await expectAlive(client)
  })

  test('that are valid are accepted next to invalid ones', async () => {
    const client = await (await open()).enter()
    client.sendInvalid([
      { type: 'nope', id: 'a' },
      { type: 'ping', nonce: 'n' },
      { type: 'attach', id: 'b' },
    ])
    expect(await client.next('error')).toMatchObject({ id: 'a', code: 'unknown_type' })
    expect(await client.next('pong')).toMatchObject({ nonce: 'n' })
    expect(await client.next('error')).toMatchObject({ id: 'b', code: 'invalid_frame' })
  })

  test('are accepted up to the maximum depth', async () => {
    const client = await (await open()).enter()
    client.raw(nested(LIMITS.depth - 1))
    expect(await client.next('error', 't')).toMatchObject({ code: 'call_not_found' })
  })
})

describe('an undecodable message ends the connection', () => {
  test('with 4413: too many keys and values, while a tool result of the maximum size has fewer', async () => {
    await open()
    const resultOf = (output: unknown) => ({ type: 'tool.result', id: 't', session: 's', call: 'c', output })
    for (const codec of ['json', 'msgpack'] as const) {
      const client = await harness.enter({ codec })
      const many = Array<object>(Math.floor(LIMITS.toolOutputBytes / 3)).fill({})
      client.raw(codecs[codec].encode(resultOf(many)))
      expect(await client.next('error', 't')).toMatchObject({ code: 'call_not_found' })
      client.raw(codecs[codec].encode(resultOf([...many, ...many])))
      expect(await client.closed).toEqual({ code: 4413, reason: 'frame too large: at most 180000 keys and values' })
      // As many ids of 64 bits as fit are accepted, and twice as many are not: they take longer to read.
      const other = await harness.enter({ codec })
      const id = new ExactNumber('12345678901234567890')
      const encode = codec === 'json' ? stringifyJson : codecs[codec].encode
      const ids = Array<ExactNumber>(Math.floor(LIMITS.toolOutputBytes / 21)).fill(id)
      other.raw(encode(resultOf(ids)))
      expect(await other.next('error', 't')).toMatchObject({ code: 'call_not_found' })
      other.raw(encode(resultOf([...ids, ...ids])))
      expect((await other.closed).code).toBe(4413)
    }
  })

  test('with 4400: invalid JSON, invalid MessagePack, text on a binary connection or the reverse', async () => {
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

  test('without a close frame if it violates the WebSocket protocol, which uWebSockets.js rejects', async () => {
    await open()
    const other = await harness.enter()
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
      const socket = await harness.rawSocket()
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.write(bytes)
      await closed
    }
    expect(harness.webSocket.connections).toBe(1)
    await expectAlive(other)
  })
})

describe('sizes', () => {
  test('a message of 1 MiB is accepted; one more byte ends the connection with 4413', async () => {
    await open()
    for (const codec of ['json', 'msgpack'] as const) {
      const client = await harness.enter({ codec })
      if (codec === 'json') {
        client.raw(pingOf(LIMITS.frameBytes))
        await client.next('pong')
        client.raw(pingOf(LIMITS.frameBytes + 1))
      } else {
        client.sendInvalid({ type: 'ping', pad: 'x'.repeat(LIMITS.frameBytes - 64) })
        await client.next('pong')
        client.sendInvalid({ type: 'ping', pad: 'x'.repeat(LIMITS.frameBytes) })
      }
      expect(await client.closed).toEqual({ code: 4413, reason: 'frame too large: at most 1048576 bytes' })
    }
  })

  test('a message of almost 2 MiB ends the connection with 4413 and leaks no memory', async () => {
    await open()
    const other = await harness.enter()
    const big = pingOf(2 * 1024 * 1024 - 1)
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
    // Twenty more messages must not retain twenty times their size.
    expect(process.memoryUsage().rss - before).toBeLessThan(30 * 1024 * 1024)
    await expectAlive(other)
  })
})

describe('rates and counts', () => {
  test('commands above the burst get rate_limited with a retry time; far above, 4429', async () => {
    await open({ limits: { commands: { perSecond: 1, burst: 10 } } })
    const client = await harness.enter()
    const ping = { type: 'ping' as const }
    // hello counted as the first of ten.
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

  test('a thousand concurrent commands are all answered', async () => {
    await open()
    const client = await harness.enter()
    const other = await harness.enter()
    const ids = Array.from({ length: 1_000 }, (_, index) => `m${index}`)
    for (const id of ids) client.send({ type: 'send', id, session: `s-${id}`, content: 'hi' })
    await expectAlive(other)
    await client.when(() => client.frames.filter(({ type }) => type === 'ok' || type === 'error').length === 1_000)
    expect(client.frames.filter(({ type }) => type === 'ok')).toHaveLength(1_000)
  })

  test('unanswered commands are limited by their bytes', async () => {
    await open()
    const client = await harness.enter()
    const content = 'x'.repeat(LIMITS.messageChars)
    for (let index = 0; index < 12; index += 1) client.send({ type: 'send', id: `m${index}`, session: 's', content })
    await client.when(() => client.frames.filter(({ type }) => type === 'ok' || type === 'error').length === 12)
    const errors = client.frames.filter((frame) => frame.type === 'error')
    for (const error of errors) expect(error).toMatchObject({ code: 'rate_limited', retryAfterMs: 1_000 })
    await expectAlive(client)
  })

  test('attached sessions above the limit get too_many_sessions until one is detached', async () => {
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

  test('connections from one address above the limit get 429 until one closes', async () => {
    await open({ limits: { connections: { total: 100, perAddress: 3 } } })
    const first = await harness.enter()
    await harness.enter()
    await harness.enter()
    await expect(harness.connect()).rejects.toEqual(new UpgradeRefused(429))
    first.socket.close()
    await first.closed
    await harness.enter()
  })

  test('connections above the total limit get 503', async () => {
    await open({ limits: { connections: { total: 2, perAddress: 100 } } })
    await harness.enter()
    await harness.enter()
    await expect(harness.connect()).rejects.toEqual(new UpgradeRefused(503))
  })
})

describe('silent sockets', () => {
  test('that never send hello are closed with 4408, without affecting others', async () => {
    await open({ limits: { helloMs: 5_000 } })
    const other = await harness.enter()
    const silent: TestClient[] = []
    for (let batch = 0; batch < 20; batch += 1) {
      silent.push(...(await Promise.all(Array.from({ length: 100 }, () => harness.connect()))))
    }
    // On a slow machine, the first ones are closed before the last ones connect.
    expect(harness.webSocket.connections).toBeGreaterThan(128)
    await expectAlive(other)
    const codes = await Promise.all(silent.map(async (client) => (await client.closed).code))
    // Beyond 128, those that are silent for two seconds are dropped.
    expect(new Set(codes)).toEqual(new Set([1006, 4408]))
    expect(codes.filter((code) => code === 4408).length).toBeLessThanOrEqual(128)
    expect(harness.webSocket.connections).toBe(1)
    await expectAlive(other)
  }, 20_000)

  // uWS's own pings came after 32 s with the default of 15 s: HAProxy cuts an idle WebSocket after 30 s with common timeouts.
  test('are pinged once per heartbeat', async () => {
    await open({ limits: { heartbeatMs: 1_000 } })
    const client = await harness.enter()
    const times: number[] = []
    const since = performance.now()
    await new Promise<void>((resolve) => {
      client.socket.on('ping', () => {
        if (times.push(performance.now()) === 3) resolve()
      })
    })
    expect(performance.now() - since).toBeLessThan(4_000)
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1_500)
    await expectAlive(client)
  })

  // Each byte restarts uWS's idle timeout, so a message of one byte a second could last for days.
  test('that are half-open, or inside one message, are pinged, and dropped if they do not answer', async () => {
    await open({ limits: { heartbeatMs: 1_000, helloMs: 60_000 } })
    const other = await harness.enter()
    const pinged = new Promise((resolve) => other.socket.once('ping', resolve))
    const dead = await harness.rawSocket()
    const slow = await harness.rawSocket()
    expect(harness.webSocket.connections).toBe(3)
    const closed = Promise.all([dead, slow].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    slow.write(Buffer.from([0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0]))
    const drip = setInterval(() => slow.write('x'), 200)
    await Promise.all([pinged, closed])
    clearInterval(drip)
    expect(harness.webSocket.connections).toBe(1)
    await expectAlive(other)
  })
})
