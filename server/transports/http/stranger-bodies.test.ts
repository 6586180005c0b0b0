// Bodies of requests whose user is not known yet: while the access token is verified, the server keeps little of each and of all together.
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { ByteBudget } from '../../limit/byte-budget.ts'
import { HttpHarness } from '../test/http-harness.ts'
import type { Route } from './route.ts'

const MIB = 1024 * 1024
/** The limit of one body, and what uWS receives at once, with the head. */
const ONE = (64 + 512) * 1024 + 4_096
const route: Route = {
  method: 'POST',
  path: '/things',
  async handle(exchange) {
    const { name } = await exchange.request.json(z.object({ name: z.string() }))
    exchange.reply(201, { length: name.length })
  },
}

let keySet: Server
let answers: ServerResponse[]
let publish: () => void
let head: string
let harness: HttpHarness

/** A server whose key set does not answer until `publish` is called. */
beforeEach(async () => {
  answers = []
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] })
  keySet = createServer((_, response) => answers.push(response)).listen(0, '127.0.0.1')
  await once(keySet, 'listening')
  publish = () => {
    for (const answer of answers) answer.end(keys)
  }
  const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(privateKey)
  head = `POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`
})

afterEach(() => {
  harness.close()
  keySet.close()
  keySet.closeAllConnections()
})

async function open(strangersMax: number): Promise<ByteBudget> {
  const budget = new ByteBudget(64 * MIB)
  const strangers = new ByteBudget(strangersMax, budget)
  const jwksUrl = `http://127.0.0.1:${(keySet.address() as AddressInfo).port}/keys`
  harness = await HttpHarness.open([route], {
    auth: { jwksUrl },
    body: { bytes: 16 * MIB, budget, strangers, ms: 60_000 },
  })
  return strangers
}

async function post(bytes: number) {
  const connection = await harness.connect()
  const body = `{"name":"${'x'.repeat(bytes - 11)}"}`
  connection.write(`${head}Content-Length: ${bytes}\r\n\r\n${body}`)
  return connection
}

// All of 8 MiB was kept for each of them, up to PARLEY_BODIES_MAX for all.
test('the server reads only the beginning of a body until the user is known, then the rest', async () => {
  const strangers = await open(64 * MIB)
  const connections = await Promise.all([post(8 * MIB), post(8 * MIB), post(8 * MIB)])
  await vi.waitFor(() => {
    expect(answers.length).toBeGreaterThan(0)
    // What the kernel buffers is not read: the socket's side of the client is stuck.
    expect(connections.every(({ socket }) => socket.writableLength > 0)).toBe(true)
    expect(strangers.used).toBeGreaterThanOrEqual(3 * 64 * 1024)
  }, 20_000)
  const before = strangers.used
  expect(before).toBeLessThanOrEqual(3 * ONE)
  // Other requests are answered meanwhile, in the same process: time enough for more chunks, if there were any.
  expect((await harness.fetch('/things')).status).toBe(405)
  expect(strangers.used).toBe(before)
  publish()
  for (const connection of connections) expect(await connection.until('"length"')).toMatch(/^HTTP\/1\.1 201 /)
  expect(strangers.used).toBe(0)
})

test('the bodies of all strangers together are limited: more are refused with 503, and the others are answered', async () => {
  const strangers = await open(100 * 1024)
  const first = await post(60_000)
  await vi.waitFor(() => expect(strangers.used).toBeGreaterThan(60_000), 20_000)
  const second = await post(60_000)
  await vi.waitFor(() => expect(harness.transport.requests).toBe(2), 20_000)
  expect(strangers.used).toBeLessThanOrEqual(100 * 1024)
  publish()
  expect(await first.until('"length"')).toMatch(/^HTTP\/1\.1 201 /)
  expect(await second.until('requestId')).toMatch(/^HTTP\/1\.1 503 [\s\S]*Retry-After: \d/i)
  expect(strangers.used).toBe(0)
})

test('a refused request is answered, and its connection stays usable, also if the server stopped reading its body', async () => {
  await open(64 * MIB)
  const connection = await post(2 * MIB)
  await vi.waitFor(() => expect(answers.length).toBeGreaterThan(0), 20_000)
  for (const answer of answers) answer.writeHead(500).end()
  expect(await connection.until('requestId')).toMatch(/^HTTP\/1\.1 503 /)
  connection.write('GET /things HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  expect(await connection.until('method_not_allowed')).toMatch(/HTTP\/1\.1 405 /)
})
