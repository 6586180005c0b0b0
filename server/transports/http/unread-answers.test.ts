// Clients that send requests and read no answers. uWS answers pipelined requests as long as each answer ends at once, and keeps what
// the socket does not take: 1 MB of requests from strangers for the API's description filled 5 GB, at 60 MB/s.
import { afterEach, expect, test, vi } from 'vitest'
import { ByteBudget } from '../../limit/byte-budget.ts'
import { HTTP_LIMITS_IN_TESTS, HttpHarness, type RawConnection } from '../test/http-harness.ts'
import { loadUws, type us_listen_socket } from '../uws.ts'
import { reply } from './http-reply.ts'
import type { Route } from './route.ts'

const MIB = 1024 * 1024
/** More than the kernel's buffers take. */
const LARGE = Buffer.alloc(32 * MIB, 'x')
let answers = 0
const open: Route = {
  method: 'GET',
  path: '/open',
  open: true,
  handle(exchange) {
    answers += 1
    exchange.replyWith(200, LARGE, { 'Content-Type': 'text/plain' })
  },
}
const own: Route = {
  ...open,
  path: '/own',
  handle: (exchange) => exchange.reply(200, { text: LARGE.toString('latin1') }),
}
const head = (path: string, method = 'GET'): string => `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`

let harness: HttpHarness

afterEach(() => {
  answers = 0
  harness.close()
})

async function paused(): Promise<RawConnection> {
  const connection = await harness.connect()
  connection.socket.pause()
  return connection
}

/** A paused socket does not notice its end. */
async function closed(connection: RawConnection): Promise<void> {
  connection.socket.resume()
  await connection.closed
}

test('a client that sends further requests before it has read an answer is disconnected', async () => {
  harness = await HttpHarness.open([open])
  const connection = await paused()
  connection.write(head('/open').repeat(1_000))
  await vi.waitFor(() => expect(answers).toBeGreaterThan(0), 20_000)
  await closed(connection)
  expect(answers).toBe(1)
  expect(harness.transport.requests).toBe(0)
})

test('answers without a body are not pipelined either', async () => {
  harness = await HttpHarness.open([open])
  const connection = await harness.connect()
  connection.write(head('/open', 'OPTIONS').repeat(1_000))
  await connection.closed
  expect(connection.text.match(/HTTP\/1\.1 204/g) ?? []).toHaveLength(0)
  const patient = await harness.connect()
  for (let asked = 1; asked <= 3; asked += 1) {
    patient.write(head('/open', 'OPTIONS'))
    await vi.waitFor(() => expect(patient.text.match(/HTTP\/1\.1 204/g)).toHaveLength(asked), 20_000)
  }
})

test('an unread answer counts as a connection until its client has read the whole', async () => {
  harness = await HttpHarness.open([own])
  const body = await harness.fetch('/own')
  await vi.waitFor(() => expect(harness.transport.requests).toBe(1), 20_000)
  expect(await body.json()).toEqual({ text: LARGE.toString('latin1') })
  await vi.waitFor(() => expect(harness.transport.requests).toBe(0), 20_000)
})

test('all unread answers of users together are limited', async () => {
  const budget = new ByteBudget(80 * MIB)
  harness = await HttpHarness.open([own], { body: { ...HTTP_LIMITS_IN_TESTS.body, budget } })
  const connections = await Promise.all([paused(), paused(), paused()])
  for (const connection of connections) connection.write(head('/own'))
  await vi.waitFor(() => expect(harness.transport.requests).toBe(2), 20_000)
  for (const connection of connections) connection.socket.destroy()
  await vi.waitFor(() => expect(harness.transport.requests).toBe(0), 20_000)
})

// The page's files and errors outside of the router.
test('other answers are not pipelined behind an unread one either', async () => {
  harness = await HttpHarness.open([])
  const { uws } = loadUws()
  const app = uws.App()
  app.get('/file', (response) => {
    answers += 1
    reply(response, 200, {}, LARGE)
  })
  const listening = await new Promise<us_listen_socket | false>((resolve) => app.listen('127.0.0.1', 0, resolve))
  if (listening === false) throw new Error('no port')
  const connection = await harness.connect(uws.us_socket_local_port(listening))
  connection.socket.pause()
  connection.write(head('/file').repeat(1_000))
  await vi.waitFor(() => expect(answers).toBeGreaterThan(0), 20_000)
  await closed(connection)
  expect(answers).toBe(1)
  app.close()
})
