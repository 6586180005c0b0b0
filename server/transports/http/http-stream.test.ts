// HttpStream: what fast, slow and disconnected clients receive of the chunks that a route writes.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { HttpHarness, type HttpHarnessOptions } from '../test/http-harness.ts'
import type { HttpStream } from './http-stream.ts'

let harness: HttpHarness
let streams: HttpStream[] = []

async function open(options: HttpHarnessOptions = {}): Promise<void> {
  streams = []
  harness = await HttpHarness.open(
    [
      {
        method: 'GET',
        path: '/stream',
        handle(exchange) {
          streams.push(exchange.stream(200, { 'Content-Type': 'application/x-ndjson' }))
        },
      },
    ],
    { heartbeatMs: 60_000, ...options },
  )
}

afterEach(() => harness.close())

it('starts with the head and a heartbeat before the route writes anything', async () => {
  await open()
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  const text = await client.until('\r\n1\r\n\n')
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(text.match(/transfer-encoding: chunked/i)).not.toBeNull()
})

it('sends all writes of one turn as one chunk, and ends', async () => {
  await open()
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await client.until('\r\n1\r\n\n')
  const [stream] = streams
  stream?.write('ä')
  stream?.write(Buffer.from('b'))
  stream?.write('c')
  // A second chunk follows at once. With it uWS sends the end of the first one, without which clients that read whole chunks
  // (Python's requests, Varnish) pass on nothing.
  expect(await client.until('bc\r\n1\r\n\n')).toMatch(/\r\n4\r\näbc\r\n1\r\n\n$/)
  stream?.write('d')
  stream?.end()
  expect(await client.until('\r\n0\r\n\r\n')).toMatch(/\r\n1\r\nd\r\n0\r\n\r\n$/)
  expect([stream?.closed, harness.transport.requests]).toEqual([true, 0])
  // The connection stays usable.
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await expect.poll(() => streams.length).toBe(2)
})

// After `resume`, uWS reads nothing more from a connection.
it('leaves its connection usable for the next request after many heartbeats', async () => {
  await open({ heartbeatMs: 15 })
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const client = await harness.connect()
      client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
      await client.until('\r\n1\r\n\n'.repeat(20))
    }),
  )
  const first = streams
  streams = []
  for (const stream of first) stream.end()
  for (const socket of harness.sockets) socket.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await expect.poll(() => streams.length).toBe(20)
})

it('is closed for HEAD, which gets only the headers', async () => {
  await open()
  const answer = await harness.fetch('/stream', { method: 'HEAD' })
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
    200,
    'application/x-ndjson',
    '',
  ])
  expect(streams.map(({ closed }) => closed)).toEqual([true])
  expect(await streams[0]?.whenWritable()).toBe(false)
})

it('is closed when its client disconnects, and ignores later writes', async () => {
  await open()
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await client.until('\r\n1\r\n\n')
  const [stream] = streams
  const closed = new Promise<void>((resolve) => stream?.onClose(resolve))
  client.socket.destroy()
  await closed
  stream?.write('late')
  stream?.end()
  stream?.abort()
  expect([harness.transport.requests, harness.transport.streams]).toEqual([0, 0])
})

it('becomes writable again when its client reads, and delivers everything in order', async () => {
  await open({ outboxBytes: 64 * 1024 })
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await client.until('\r\n1\r\n\n')
  const [stream] = streams
  if (stream === undefined) throw new Error('no stream')
  client.socket.pause()
  let written = 0
  while (!stream.full) {
    stream.write(`${written}`.padEnd(20_000, '.'))
    written += 1
    await new Promise((resolve) => setImmediate(resolve))
  }
  let isWritable = false
  const writable = stream.whenWritable().then((value) => {
    isWritable = value
  })
  await sleep(50)
  expect(isWritable).toBe(false)
  expect(harness.transport.unsentBytes).toBeGreaterThan(64 * 1024)
  client.socket.resume()
  await writable
  expect(isWritable).toBe(true)
  stream.end()
  await client.until('\r\n0\r\n\r\n')
  // Chunk sizes and heartbeats (empty lines) are in between.
  const numbers = [...client.text.matchAll(/(\d+)\.{1000,}/g)].map(([, number]) => Number(number))
  expect(numbers).toEqual(Array.from({ length: written }, (_, index) => index))
})

it('is closed if a route keeps writing although it is full', async () => {
  await open({ outboxBytes: 64 * 1024 })
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await client.until('\r\n1\r\n\n')
  client.socket.pause()
  const [stream] = streams
  for (let written = 0; written < 2_000 && stream?.closed === false; written += 1) {
    stream.write('x'.repeat(20_000))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect([stream?.closed, harness.transport.requests]).toEqual([true, 0])
})

it('is closed when the node shuts down', async () => {
  await open()
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await client.until('\r\n1\r\n\n')
  harness.transport.drain('the node is shutting down', 1_000)
  const emptied = harness.transport.emptied(10_000)
  harness.transport.close()
  await emptied
  await client.closed
  expect(streams[0]?.closed).toBe(true)
})
