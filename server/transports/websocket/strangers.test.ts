// Clients whose user is not known: what they send, and the memory and connections that they hold, are limited.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPair, SignJWT } from 'jose'
import { afterEach, expect, test, vi } from 'vitest'
import { ByteBudget } from '../../limit/byte-budget.ts'
import { UpgradeRefused } from '../test/test-client.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

const jwtSecret = 'a secret that is long enough for HS256'
const tokenOf = (user: string) =>
  new SignJWT({ sub: user }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(jwtSecret))

let harness: TransportHarness

async function open(options: HarnessOptions = {}): Promise<void> {
  harness = await TransportHarness.open(options)
}

afterEach(async () => {
  await harness.close()
})

// Sixty strangers with one unfinished message of 16 MiB each took 928 MB. uWS says nothing of a message before its end.
test('a longer message drops the connection at its head, and before hello 32 KiB are the limit', async () => {
  await open()
  const socket = await harness.rawSocket()
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 1, 0, 0, 0, 0]))
  await closed
  const client = await harness.connect()
  const ping = JSON.stringify({ type: 'ping', pad: '' })
  client.raw(ping.padEnd(32 * 1024))
  await client.next('pong')
  client.raw(ping.padEnd(32 * 1024 + 1))
  expect(await client.closed).toEqual({ code: 4413, reason: 'frame too large: at most 32768 bytes before hello' })
})

// uWS keeps the unfinished message of a socket that the server ended, until the client closes its side or for 12 s.
test('sockets without hello are dropped if they are inside a message, the oldest first if there are too many', async () => {
  await open({ limits: { helloMs: 1_000 }, handshakes: { most: 2, graceMs: 50 } })
  const first = await harness.connect()
  const silent = await harness.connect()
  const socket = await harness.rawSocket()
  const received: Buffer[] = []
  socket.on('data', (data: Buffer) => received.push(data))
  socket.write(Buffer.from([0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0]))
  expect(await first.closed).toMatchObject({ code: 1006 })
  expect(await silent.closed).toEqual({ code: 4408, reason: 'no hello in time' })
  await new Promise((resolve) => socket.once('close', resolve))
  // A ping, and no close frame.
  expect(Buffer.concat(received)).toEqual(Buffer.from([0x89, 0]))
  expect(harness.webSocket.connections).toBe(0)
})

// Frames that arrived together with hello were not counted: 600 of 600 were accepted.
test('commands sent with hello count for the user once that is known', async () => {
  const gate = { user: { perSecond: 0.001, burst: 10 } }
  await open({ gate, auth: { jwtSecret }, limits: { attachedSessions: 1_000 } })
  const client = await harness.connect()
  const attaches = Array.from({ length: 600 }, (_, index) => ({
    type: 'attach' as const,
    id: `a${index}`,
    session: `s${index}`,
  }))
  client.send({ type: 'hello', token: await tokenOf('ann') }, ...attaches.slice(0, 255))
  client.send(...attaches.slice(255, 500))
  client.send(...attaches.slice(500))
  await client.when(() => client.frames.filter(({ type }) => type === 'attached' || type === 'error').length === 600)
  expect(client.frames.filter(({ type }) => type === 'attached')).toHaveLength(10)
  expect(await client.next('error')).toMatchObject({ code: 'rate_limited', retryable: true })
})

// Within two seconds strangers could fill 2 MiB with each of their connections: 10 GB from one address.
test('all sockets without hello are dropped if the process grows while they are many', async () => {
  await open({ handshakes: { most: 1_000, graceMs: 60_000, bytes: 32 * 1024 * 1024 } })
  const user = await harness.enter()
  const sockets = await Promise.all(Array.from({ length: 60 }, () => harness.rawSocket()))
  const closed = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  const unfinished = Buffer.alloc(2 * 1024 * 1024 - 1)
  unfinished.set([0x81, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0])
  for (const socket of sockets) socket.on('error', () => undefined).write(unfinished)
  await closed
  expect(harness.webSocket.connections).toBe(1)
  user.send({ type: 'ping' })
  await user.next('pong')
})

// Each could leave a message of 1 MiB with the server while the key set did not answer.
test('what clients send before their token is verified is limited for all together', async () => {
  const keySet = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(keySet, 'listening')
  const budget = new ByteBudget(100_000)
  await open({
    auth: { jwksUrl: `http://127.0.0.1:${(keySet.address() as AddressInfo).port}` },
    http: { body: { bytes: 1024, budget, strangers: budget, ms: 1_000 } },
  })
  const { privateKey } = await generateKeyPair('ES256')
  const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(privateKey)
  const [first, second] = [await harness.connect(), await harness.connect()]
  const large = {
    type: 'send' as const,
    id: 'm1',
    session: 's',
    content: [{ type: 'text' as const, text: 'x'.repeat(60_000) }],
  }
  first.send({ type: 'hello', token }, { type: 'ping' })
  first.send(large)
  second.send({ type: 'hello', token })
  await vi.waitFor(() => expect(budget.used).toBeGreaterThan(60_000), 20_000)
  second.send(large)
  expect(await second.next('error')).toMatchObject({ code: 'unavailable', id: 'm1', retryable: true })
  expect(first.frames.map(({ type }) => type)).toEqual(['pong'])
  first.destroy()
  second.destroy()
  await vi.waitFor(() => expect(budget.used).toBe(0), 20_000)
  keySet.close()
  keySet.closeAllConnections()
})

// Only valid tokens were counted for the address.
test('requests with invalid tokens count for their address', async () => {
  await open({ gate: { address: { perSecond: 0.001, burst: 3 } }, auth: { jwtSecret } })
  const statuses: number[] = []
  for (let index = 0; index < 4; index += 1) {
    statuses.push((await harness.fetch('/v1/sessions', { headers: { Authorization: 'Bearer x' } })).status)
  }
  expect(statuses).toEqual([401, 401, 401, 429])
})

// uWS closes the descriptor of an ended socket when its client closes its side, or after some seconds.
test('sockets that the server ended count until their descriptor is closed', async () => {
  await open({ limits: { connections: { total: 2, perAddress: 100 } } })
  const socket = await harness.rawSocket()
  await harness.enter()
  socket.write(Buffer.from('\x81\x87\0\0\0\0no JSON', 'latin1'))
  await new Promise((resolve) => socket.once('data', resolve))
  expect(harness.webSocket.connections).toBe(1)
  await expect(harness.connect()).rejects.toEqual(new UpgradeRefused(503))
})
