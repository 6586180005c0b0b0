// HttpStream by itself: what a route writes, and what a client who takes it or does not gets of it.
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

it('begins at once, with a heartbeat, before anything was written', async () => {
  await open()
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  const text = await client.until('\r\n1\r\n\n')
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(text.match(/transfer-encoding: chunked/i)).not.toBeNull()
})

it('sends what one turn writes as one chunk, and ends', async () => {
  await open()
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await client.until('\r\n1\r\n\n')
  const [stream] = streams
  stream?.write('ä')
  stream?.write(Buffer.from('b'))
  stream?.write('c')
  await client.until('bc')
  expect(client.text.endsWith('\r\n4\r\näbc')).toBe(true)
  stream?.write('d')
  stream?.end()
  expect(await client.until('\r\n0\r\n\r\n')).toMatch(/\r\n1\r\nd\r\n0\r\n\r\n$/)
  expect([stream?.closed, harness.door.requests]).toEqual([true, 0])
  // The connection goes on.
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await expect.poll(() => streams.length).toBe(2)
})

it('leaves its connection to the next request, however long it was: uWS read no more from one that was looked after', async () => {
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

it('is closed for HEAD, which is answered with the headers alone', async () => {
  await open()
  const answer = await harness.fetch('/stream', { method: 'HEAD' })
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
    200,
    'application/x-ndjson',
    '',
  ])
  expect(streams.map(({ closed }) => closed)).toEqual([true])
  expect(await streams[0]?.room()).toBe(false)
})

it('is closed when its client leaves, and what is written then goes nowhere', async () => {
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
  stream?.cut()
  expect([harness.door.requests, harness.door.streams]).toEqual([0, 0])
})

it('has room again when its client takes what waits, all of which comes in order', async () => {
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
  let hasRoom = false
  const room = stream.room().then((has) => {
    hasRoom = has
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(hasRoom).toBe(false)
  expect(harness.door.unsentBytes).toBeGreaterThan(64 * 1024)
  client.socket.resume()
  await room
  expect(hasRoom).toBe(true)
  stream.end()
  await client.until('\r\n0\r\n\r\n')
  // Chunks' sizes stand between; the heartbeats that found out are empty lines.
  const numbers = [...client.text.matchAll(/(\d+)\.{1000,}/g)].map(([, number]) => Number(number))
  expect(numbers).toEqual(Array.from({ length: written }, (_, index) => index))
})

it('is cut when it is written to without end, though it is full', async () => {
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
  expect([stream?.closed, harness.door.requests]).toEqual([true, 0])
})

it('is told when the node is about to stop, and cut when it does', async () => {
  await open()
  const client = await harness.connect()
  client.write('GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await client.until('\r\n1\r\n\n')
  harness.door.drain('the node stops', 1_000)
  const emptied = harness.door.emptied(10_000)
  harness.door.close()
  await emptied
  await client.closed
  expect(streams[0]?.closed).toBe(true)
})
