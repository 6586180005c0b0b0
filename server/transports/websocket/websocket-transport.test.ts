// The WebSocket transport as a client sees it: handshake, codecs, access tokens, origins, and replies to commands.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplyError, SUBPROTOCOLS } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import { RawConnection } from '../test/http-harness.ts'
import { UpgradeRefused } from '../test/test-client.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness

async function open(options: HarnessOptions = {}): Promise<TransportHarness> {
  harness = await TransportHarness.open(options)
  return harness
}

afterEach(async () => {
  await harness.close()
})

describe('opening', () => {
  test('uses JSON without a subprotocol, and answers hello with welcome', async () => {
    const client = await (await open()).connect()
    expect(client.socket.protocol).toBe('')
    client.raw('{"type":"hello"}')
    const welcome = await client.next('welcome')
    expect(welcome).toMatchObject({ user: 'anonymous', node: 'test-node', heartbeatMs: 15_000 })
    expect(welcome.connection).toMatch(/^con_/)
    expect(welcome.limits).toMatchObject({ frameBytes: 1_048_576, attachedSessions: 1_000, commandsPerSecond: 100 })
  })

  test('selects the first known subprotocol, and never echoes the access token', async () => {
    await open()
    const offers: [string[], string][] = [
      [['parley.v1.json'], 'parley.v1.json'],
      [['parley.v1.msgpack'], 'parley.v1.msgpack'],
      [['other', 'parley.v1.msgpack', 'parley.v1.json'], 'parley.v1.msgpack'],
      [['parley.token.abc', 'parley.v1.json'], 'parley.v1.json'],
    ]
    for (const [protocols, chosen] of offers) {
      const client = await harness.connect({ protocols })
      expect(client.socket.protocol).toBe(chosen)
    }
  })

  test('replaces lone surrogates of a client in every frame', async () => {
    await open()
    const client = await harness.enter({ codec: 'json' })
    client.send({ type: 'attach', id: 'a', session: 's' })
    await client.next('live')
    client.raw('{"type":"send","id":"c1","session":"s","content":"half \\ud83d"}')
    await client.next('ok')
    await client.when(() => client.entries('s').length > 0)
    expect(client.entries('s')[0]?.event).toMatchObject({ content: [{ type: 'text', text: 'half \ufffd' }] })
  })

  test('sends the same frames in MessagePack as in JSON', async () => {
    await open()
    await harness.startRun('s', 'r')
    await harness.say('s', 'r', 0, 3)
    const clients = [await harness.enter({ codec: 'json' }), await harness.enter({ codec: 'msgpack' })]
    for (const client of clients) {
      client.send({ type: 'attach', id: 'a', session: 's' })
      await client.next('live')
    }
    await harness.append('s', 'meta', { type: 'session.updated', title: 'ünïcode 🙂' })
    for (const client of clients) await client.when(() => client.entries('s').length === 6)
    const [json, msgpack] = clients.map(({ frames }) => frames.filter(({ type }) => type !== 'welcome'))
    expect(json).toHaveLength(8)
    expect(msgpack).toEqual(json)
  })

  test('sends Latin-1 text as UTF-8, which uWS does not on every version of Node', async () => {
    await open()
    await harness.startRun('s', 'r')
    const client = await harness.enter()
    client.send({ type: 'attach', id: 'a', session: 's' })
    await client.next('live')
    await harness.say('s', 'r', 0, 2, () => 'où çà, Mädchen?')
    await client.when(() => client.indexes('s').length === 2)
    expect(client.text('s')).toBe('où çà, Mädchen?où çà, Mädchen?')
  })

  test('answers ping before hello, and closes on any other command before hello', async () => {
    await open()
    const client = await harness.connect()
    client.send({ type: 'ping', nonce: 'n' })
    expect(await client.next('pong')).toEqual({ type: 'pong', nonce: 'n' })
    client.send({ type: 'attach', id: 'a', session: 's' })
    expect(await client.closed).toEqual({ code: 4401, reason: 'not authenticated: hello must be the first command' })
  })

  test('refuses a second hello, and stays open', async () => {
    await open()
    const client = await harness.enter()
    client.send({ type: 'hello' })
    expect(await client.next('error')).toMatchObject({ code: 'invalid_frame' })
    client.send({ type: 'ping' })
    await client.next('pong')
  })

  test('closes a connection without hello with 4408, and keeps one with a timely hello', async () => {
    await open({ limits: { helloMs: 300 } })
    const silent = await harness.connect()
    const prompt = await harness.enter()
    silent.send({ type: 'ping' })
    expect(await silent.closed).toEqual({ code: 4408, reason: 'no hello in time' })
    prompt.send({ type: 'ping' })
    await prompt.next('pong')
  })
})

test('answers a plain HTTP request with upgrade_required', async () => {
  await open()
  for (const headers of [{}, { 'Sec-WebSocket-Key': 'short' }]) {
    const response = await fetch(harness.url.replace('ws', 'http'), { headers })
    expect(response.status).toBe(426)
    expect(await response.json()).toMatchObject({ code: 'upgrade_required' })
  }
})

// uWS opens a WebSocket for Sec-WebSocket-Key alone. Apache, Varnish, Squid and h2o drop the hop-by-hop headers and pass
// on the key, so a 101 made them answer 502 or 503 instead of our error.
describe('an incomplete handshake', () => {
  const complete = ['Upgrade: websocket', 'Connection: keep-alive, Upgrade', 'Sec-WebSocket-Version: 13']

  async function ask(headers: readonly string[]): Promise<string> {
    const { hostname, port } = new URL(harness.url)
    const tcp = connect(Number(port), hostname)
    try {
      const connection = new RawConnection(tcp)
      const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
      connection.write(`GET /v1/ws HTTP/1.1\r\n${['Host: localhost', key, ...headers, '\r\n'].join('\r\n')}`)
      const head = await connection.until('\r\n\r\n')
      return head.startsWith('HTTP/1.1 101') ? head : head + (await connection.until('}'))
    } finally {
      tcp.destroy()
    }
  }

  test('gets 426 with the missing header and the supported version', async () => {
    await open()
    const cases: [headers: string[], detail: string][] = [
      [[], 'Upgrade: websocket'],
      [complete.slice(1), 'Upgrade: websocket'],
      [['Upgrade: h2c', ...complete.slice(1)], 'Upgrade: websocket'],
      [['Upgrade: websocket', 'Sec-WebSocket-Version: 13'], 'Connection: Upgrade'],
      [['Upgrade: websocket', 'Connection: close', 'Sec-WebSocket-Version: 13'], 'Connection: Upgrade'],
      [complete.slice(0, 2), 'Sec-WebSocket-Version: 13'],
      [[...complete.slice(0, 2), 'Sec-WebSocket-Version: 8'], 'Sec-WebSocket-Version: 13'],
    ]
    for (const [headers, detail] of cases) {
      const answer = await ask(headers)
      expect(answer).toMatch(/^HTTP\/1\.1 426 /)
      expect(answer).toContain('\r\nUpgrade: websocket\r\n')
      expect(answer).toContain('\r\nSec-WebSocket-Version: 13\r\n')
      expect(answer).toContain(JSON.stringify(`"${detail}"`).slice(1, -1))
      expect(answer).toContain('"code":"upgrade_required"')
    }
  })

  test('is not one with header values in any case, in lists, or in repeated lines', async () => {
    await open()
    for (const headers of [
      complete,
      ['Upgrade: h2c, WebSocket', 'Connection: keep-alive', 'Connection: UPGRADE', 'Sec-WebSocket-Version: 13'],
    ]) {
      expect(await ask(headers)).toMatch(/^HTTP\/1\.1 101 /)
    }
  })
})

describe('access tokens', () => {
  const jwtSecret = 'a secret that is long enough for HS256'
  const key = new TextEncoder().encode(jwtSecret)
  const tokenOf = (user: string, expires: string | number = '1h') =>
    new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(user).setExpirationTime(expires).sign(key)

  test('are accepted in hello, in a header, or as a subprotocol', async () => {
    await open({ auth: { jwtSecret } })
    const inHello = await harness.connect()
    inHello.send({ type: 'hello', token: await tokenOf('ann') })
    expect((await inHello.next('welcome')).user).toBe('ann')

    const inHeader = await harness.connect({ headers: { Authorization: `Bearer ${await tokenOf('bob')}` } })
    inHeader.send({ type: 'hello' })
    expect((await inHeader.next('welcome')).user).toBe('bob')

    const protocols = [SUBPROTOCOLS.json, `parley.token.${await tokenOf('cyd')}`]
    const asProtocol = await harness.connect({ protocols })
    asProtocol.send({ type: 'hello' })
    expect((await asProtocol.next('welcome')).user).toBe('cyd')
  })

  test('are required if configured: a missing, invalid or expired one gets 4401', async () => {
    await open({ auth: { jwtSecret } })
    const none = await harness.connect()
    none.send({ type: 'hello' })
    expect((await none.closed).code).toBe(4401)
    const wrong = await harness.connect()
    wrong.send({ type: 'hello', token: `${await tokenOf('ann')}x` })
    expect(await wrong.closed).toEqual({ code: 4401, reason: 'not authenticated' })
    const old = await harness.connect({ headers: { Authorization: `Bearer ${await tokenOf('ann', '-1h')}` } })
    expect((await old.closed).code).toBe(4401)
  })

  test('are verified while early commands wait, in order', async () => {
    await open({ auth: { jwtSecret } })
    const client = await harness.connect()
    client.send({ type: 'hello', token: await tokenOf('ann') }, { type: 'attach', id: 'a', session: 's' })
    client.send({ type: 'detach', id: 'd', session: 's' })
    await client.next('ok', 'd')
    expect(client.frames.map(({ type }) => type)).toContain('welcome')
  })

  const endingIn = (user: string, seconds: number) => tokenOf(user, Math.floor(Date.now() / 1000) + seconds)

  test('expire: the client gets a warning, then the connection closes with 4401', async () => {
    await open({ auth: { jwtSecret, clockSkew: 0 } })
    const client = await harness.connect()
    client.send({ type: 'hello', token: await endingIn('ann', 2) })
    const { expiresAt } = await client.next('welcome')
    expect(await client.next('expiring')).toEqual({ type: 'expiring', expiresAt })
    expect(Date.now()).toBeLessThan(expiresAt ?? 0)
    expect(await client.closed).toEqual({ code: 4401, reason: 'not authenticated: the access token has expired' })
    expect(Date.now()).toBeGreaterThanOrEqual((expiresAt ?? 0) - 1)
  })

  test('can be renewed on the open connection, for the same user only', async () => {
    await open({ auth: { jwtSecret, clockSkew: 0 } })
    const client = await harness.connect()
    client.send({ type: 'hello', token: await endingIn('ann', 2) })
    const { expiresAt } = await client.next('welcome')
    client.send({ type: 'attach', id: 'a', session: 's' })
    await client.next('live')
    client.send({ type: 'token', id: 't1', token: await endingIn('bob', 60) })
    expect(await client.next('error', 't1')).toMatchObject({ code: 'forbidden' })
    client.send({ type: 'token', id: 't2', token: 'nonsense' })
    expect(await client.next('error', 't2')).toMatchObject({ code: 'unauthenticated' })
    client.send({ type: 'token', id: 't3', token: await endingIn('ann', 3_600) })
    expect(await client.next('ok', 't3')).toEqual({ type: 'ok', id: 't3' })
    // Wait until after the first token has expired.
    await sleep((expiresAt ?? 0) + 50 - Date.now())
    client.send({ type: 'ping', nonce: 'alive' })
    await client.next('pong')
    expect(client.frames.filter(({ type }) => type === 'expiring')).toEqual([])
  })
})

describe('origins', () => {
  const from = (origin: string) => harness.connect({ headers: { Origin: origin } })
  const refused = async (origin: string) => {
    await expect(from(origin)).rejects.toEqual(new UpgradeRefused(403))
  }

  test('of this machine may connect; others get 403', async () => {
    await open()
    await from('http://localhost:5173')
    await from('http://127.0.0.1:1234')
    await from('http://[::1]:80')
    await refused('https://evil.example')
    await refused('null')
    await refused('http://localhost.evil.example')
  })

  test('may connect if they are configured', async () => {
    await open({ origins: ['https://chat.example.com'] })
    await from('https://chat.example.com')
    await refused('https://chat.example.com.evil.example')
  })

  test('equal to the host are refused if all users are anonymous', async () => {
    await open()
    const headers = { Origin: 'http://rebound.example:8080', Host: 'rebound.example:8080' }
    await expect(harness.connect({ headers })).rejects.toEqual(new UpgradeRefused(403))
  })

  test('equal to the host may connect if an access token is required', async () => {
    await open({ auth: { jwtSecret: 'a secret that is long enough for HS256' } })
    const headers = { Origin: 'https://chat.example.com', Host: 'chat.example.com' }
    await harness.connect({ headers })
  })
})

describe('sessions on a connection', () => {
  test('attach sends the head, the replay, and then live', async () => {
    await open()
    await harness.startRun('s', 'r')
    await harness.say('s', 'r', 0, 10)
    const head = await harness.stores.log.head('s')
    const client = await harness.enter()
    client.send({ type: 'attach', id: 'a', session: 's' })
    expect(await client.next('attached')).toEqual({
      type: 'attached',
      id: 'a',
      session: 's',
      cursor: head,
      role: 'owner',
    })
    expect(await client.next('live')).toEqual({ type: 'live', session: 's', cursor: head })
    expect(client.indexes('s')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    await harness.say('s', 'r', 10, 12)
    await client.when(() => client.indexes('s').length === 12)
    expect(client.indexes('s').slice(10)).toEqual([10, 11])
    expect(client.entries('s').at(-1)?.cursor).toBe(await harness.stores.log.head('s'))
  })

  test('many readers with both codecs get the same entries', async () => {
    await open()
    await harness.startRun('s', 'r')
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, index) => harness.enter({ codec: index % 2 === 0 ? 'json' : 'msgpack' })),
    )
    for (const client of clients) {
      client.send({ type: 'attach', id: 'a', session: 's' })
      await client.next('live')
    }
    await harness.say('s', 'r', 0, 20, (index) => ` ${index} ünïcode 🙂`)
    for (const client of clients) {
      await client.when(() => client.indexes('s').length === 20)
      expect(client.entries('s')).toEqual(clients[0]?.entries('s'))
    }
    expect(harness.hub.size).toBe(1)
  })

  test('attach resumes after a cursor', async () => {
    await open()
    await harness.startRun('s', 'r')
    await harness.say('s', 'r', 0, 3)
    const after = await harness.stores.log.head('s')
    await harness.say('s', 'r', 3, 6)
    const client = await harness.enter()
    client.send({ type: 'attach', id: 'a', session: 's', after })
    await client.next('live')
    expect(client.indexes('s')).toEqual([3, 4, 5])
  })

  test('an invalid cursor is refused; a cursor of another epoch leads to a reset', async () => {
    await open()
    await harness.startRun('s', 'r')
    const client = await harness.enter()
    for (const after of ['', 'nonsense', 'x.1.2', 'x.-1', 'x.9007199254740993', 'x'.repeat(256)]) {
      client.send({ type: 'attach', id: 'bad', session: 's', after })
      expect(await client.next('error', 'bad')).toMatchObject({ code: 'invalid_cursor', retryable: false })
    }
    client.send({ type: 'attach', id: 'foreign', session: 's', after: 'elsewhere.5' })
    expect(await client.next('attached', 'foreign')).toMatchObject({ reset: true })
    await client.next('live')
    expect(client.entries('s')).toHaveLength(2)
    // A cursor beyond the store's last entry leads to a reset, too.
    client.send({ type: 'attach', id: 'beyond', session: 's', after: `${harness.stores.log.epoch}.999999` })
    expect(await client.next('attached', 'beyond')).toMatchObject({ reset: true })
  })

  test('outputs are merged only on request', async () => {
    await open()
    await harness.startRun('s', 'r')
    await harness.say('s', 'r', 0, 50)
    const client = await harness.enter()
    client.send({ type: 'attach', id: 'a', session: 's', merge: true })
    await client.next('live')
    const events = client.entries('s').map(({ event }) => event)
    expect(events.filter(({ type }) => type === 'run.output')).toEqual([
      { type: 'run.output', run: 'r', index: 0, kind: 'text', text: expect.stringMatching(/^ 0 1 .* 49$/), count: 50 },
    ])
  })

  test('a second attach restarts the reader', async () => {
    await open()
    await harness.startRun('s', 'r')
    const client = await harness.enter()
    client.send({ type: 'attach', id: 'a', session: 's' }, { type: 'attach', id: 'b', session: 's' })
    await client.next('attached', 'b')
    await client.next('live')
    await harness.say('s', 'r', 0, 3)
    await client.when(() => client.indexes('s').includes(2))
    expect(client.indexes('s')).toEqual([0, 1, 2])
  })

  test('a refused attach does not affect an earlier one', async () => {
    await open()
    await harness.startRun('s', 'r')
    const client = await harness.enter()
    client.send({ type: 'attach', id: 'a', session: 's' })
    await client.next('live')
    const tools = [{ name: 'look', inputSchema: { type: 'nonsense' } }]
    client.send({ type: 'attach', id: 'b', session: 's', tools })
    expect(await client.next('error', 'b')).toMatchObject({ code: 'invalid_tool' })
    await harness.say('s', 'r', 0, 3)
    await client.when(() => client.indexes('s').length === 3)
  })

  test('one connection reads many sessions, and none after its detach', async () => {
    await open()
    const client = await harness.enter()
    const sessions = Array.from({ length: 50 }, (_, index) => `s${index}`)
    client.send(...sessions.map((session) => ({ type: 'attach' as const, id: `a-${session}`, session })))
    await client.when(() => client.frames.filter(({ type }) => type === 'live').length === 50)
    client.send({ type: 'detach', id: 'd', session: 's7' })
    await client.next('ok', 'd')
    await Promise.all(sessions.map((session) => harness.startRun(session, `r-${session}`)))
    await client.when(() => client.entries().length === 98)
    expect(client.entries('s7')).toEqual([])
    for (const session of sessions.filter((name) => name !== 's7')) expect(client.entries(session)).toHaveLength(2)
  })

  test('detach of a session that is not attached is an error', async () => {
    await open()
    const client = await harness.enter()
    client.send({ type: 'detach', id: 'd', session: 's' })
    expect(await client.next('error', 'd')).toMatchObject({ code: 'not_attached' })
  })

  test('commands get the receipt of the session service', async () => {
    await open()
    const client = await harness.enter()
    client.send({ type: 'send', id: 'm', session: 's', content: 'hi' })
    const ok = await client.next('ok', 'm')
    expect(ok).toMatchObject({ session: 's', message: 'm', run: expect.stringMatching(/^run_/) })
    expect(ok.cursor).toBe(await harness.stores.log.head('s'))
    client.send({ type: 'send', id: 'm', session: 's', content: 'hi' })
    expect(await client.next('ok', 'm')).toMatchObject({ run: ok.run, duplicate: true })
    client.send({ type: 'cancel', id: 'c', session: 'other' })
    expect(await client.next('error', 'c')).toEqual({
      type: 'error',
      id: 'c',
      code: 'no_active_run',
      message: new ReplyError('no_active_run').message,
      retryable: false,
    })
  })

  test('commands of one session are applied in order of arrival', async () => {
    await open()
    const client = await harness.enter()
    const ids = Array.from({ length: 20 }, (_, index) => `m${index}`)
    client.send(...ids.map((id) => ({ type: 'send' as const, id, session: 's', content: id })))
    await client.when(() => client.frames.filter(({ type }) => type === 'ok').length === 20)
    client.send({ type: 'attach', id: 'a', session: 's' })
    await client.next('live')
    const messages = client.entries('s').flatMap(({ event }) => (event.type === 'message' ? [event.id] : []))
    expect(messages).toEqual(ids)
  })

  test('the tools of a connection are withdrawn when it closes', async () => {
    await open()
    const client = await harness.enter()
    client.send({ type: 'attach', id: 'a', session: 's', tools: [{ name: 'look' }] })
    await client.next('attached')
    const other = await harness.enter()
    other.send({ type: 'send', id: 'm1', session: 's', content: 'hi' })
    await other.next('ok', 'm1')
    client.socket.close()
    await client.closed
    other.send({ type: 'send', id: 'm2', session: 's', content: 'hi' })
    await other.next('ok', 'm2')
    other.send({ type: 'attach', id: 'a', session: 's' })
    await other.next('live')
    const offered = other.entries('s').flatMap(({ event }) => (event.type === 'message' ? [event.tools] : []))
    expect(offered).toEqual([['look'], undefined])
  })
})

describe('presence', () => {
  test('is sent to everyone in the session, and ends with the connection', async () => {
    await open()
    const ann = await harness.enter()
    const bob = await harness.enter({ codec: 'msgpack' })
    for (const client of [ann, bob]) {
      client.send({ type: 'attach', id: 'a', session: 's' })
      await client.next('live')
    }
    expect(await bob.next('presence')).toMatchObject({ count: 2, members: [{ state: {} }, { state: {} }] })
    ann.send({ type: 'presence', session: 's', state: { typing: true } })
    const { members } = await bob.next('presence')
    expect(members[0]).toMatchObject({ user: 'anonymous', connection: expect.any(String), state: { typing: true } })
    ann.socket.close()
    expect(await bob.next('presence')).toMatchObject({ count: 1, members: [{ state: {} }] })
  })

  test('requires an attached session and a small state', async () => {
    await open()
    const client = await harness.enter()
    client.send({ type: 'presence', session: 's', state: { typing: true } })
    expect(await client.next('error')).toMatchObject({ code: 'not_attached' })
    client.send({ type: 'presence', session: 's', state: { note: 'x'.repeat(4_096) } })
    expect(await client.next('error')).toMatchObject({ code: 'too_large' })
  })
})
