// A relay at its limits, over real sockets: as many streams as it may hold, all without a reader, and bodies of a gigabyte.
import { Agent, createServer, request as requestHttp, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type RelayLimits, RelayServer } from './relay-server.ts'
import { relayTargets } from './relay-target.ts'

const SECRET = 'a-secret-of-at-least-32-bytes-for-the-relay'
const GIGABYTE = 1024 ** 3
const LIMITS: RelayLimits = {
  streams: 10_000,
  streamBytes: 16 * 1024 * 1024,
  bytes: 64 * 1024 * 1024,
  requestBytes: 64 * 1024,
  orphanMs: 15_000,
  streamMs: 600_000,
}

const agent = new Agent({ keepAlive: true, maxSockets: 200 })
let open = 0
let answer: (response: ServerResponse) => void
let providerUrl: string
let relay: RelayServer
let port: number
const provider = createServer((request, response) => {
  open += 1
  response.on('close', () => {
    open -= 1
  })
  request.resume()
  answer(response)
})

beforeEach(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  providerUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1`
  const logger = pino({ level: 'silent' })
  relay = new RelayServer({ secrets: [SECRET], targets: relayTargets([providerUrl]), limits: LIMITS, logger })
  port = await relay.listen({ host: '127.0.0.1', port: 0 })
})
afterEach(async () => {
  await relay.close()
  provider.closeAllConnections()
  await new Promise((resolve) => provider.close(resolve))
})

const head = () => `${JSON.stringify({ method: 'POST', url: `${providerUrl}/chat`, headers: {} })}\n`

/** Starts a stream, and leaves it once the relay has accepted it. @returns the status */
async function start(key: string, body: string | undefined = head()): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${SECRET}`, 'parley-attempt': '1' }
    const request = requestHttp({ port, method: 'POST', path: `/v1/streams/${key}`, headers, agent })
    request.on('response', (response) => {
      resolve(response.statusCode ?? 0)
      response.on('error', () => undefined)
      request.destroy()
    })
    request.on('error', reject)
    request.end(body)
  })
}

it('refuses more than its limit of streams, and aborts ten thousand orphans', async () => {
  answer = (response) => response.writeHead(200).write('a')
  for (let batch = 0; batch < LIMITS.streams; batch += 100) {
    const statuses = await Promise.all(Array.from({ length: 100 }, (_, index) => start(`k${batch + index}`)))
    expect(new Set(statuses)).toEqual(new Set([200]))
  }
  // Those of the first batches may be over already.
  const { streams } = relay.held
  if (streams === LIMITS.streams) expect(await start('beyond')).toBe(503)
  await vi.waitFor(() => expect(relay.held).toEqual({ streams: 0, bytes: 0 }), { timeout: 120_000, interval: 100 })
  await vi.waitFor(() => expect(open).toBe(0), { timeout: 30_000, interval: 100 })
  expect(await start('after')).toBe(200)
}, 600_000)

it('passes a body of a gigabyte on without keeping it', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  answer = async (response) => {
    response.writeHead(200)
    for (let sent = 0; sent < GIGABYTE; sent += chunk.length) {
      if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve))
    }
    response.end()
  }
  let most = 0
  const received = await new Promise<number>((resolve, reject) => {
    const headers = { authorization: `Bearer ${SECRET}`, 'parley-attempt': '1' }
    const request = requestHttp({ port, method: 'POST', path: '/v1/streams/large', headers })
    request.on('error', reject)
    request.on('response', (response) => {
      let bytes = 0
      response.on('data', (data: Buffer) => {
        bytes += data.length
        most = Math.max(most, relay.held.bytes)
      })
      response.on('end', () => resolve(bytes))
    })
    request.end(head())
  })
  expect(received).toBeGreaterThanOrEqual(GIGABYTE)
  expect(received).toBeLessThan(GIGABYTE * 1.01)
  expect(most).toBeLessThan(LIMITS.streamBytes + 4 * 1024 * 1024)
}, 600_000)

it('refuses a request of a gigabyte after its limit, in chunks and with its length', async () => {
  answer = (response) => response.end('never')
  for (const length of [undefined, GIGABYTE]) {
    const status = await new Promise<number>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${SECRET}`,
        'parley-attempt': '1',
        ...(length === undefined ? {} : { 'content-length': length }),
      }
      const request = requestHttp({ port, method: 'POST', path: '/v1/streams/huge', headers })
      let status = 0
      request.on('response', (response) => {
        status = response.statusCode ?? 0
        response.resume()
        request.destroy()
      })
      request.on('error', (error) => (status === 0 ? reject(error) : undefined))
      request.on('close', () => resolve(status))
      request.write(Buffer.alloc(128 * 1024, 'x'))
    })
    expect(status).toBe(413)
  }
  expect(relay.held).toEqual({ streams: 0, bytes: 0 })
}, 60_000)
