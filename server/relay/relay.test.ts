// The relay and the `fetch` of a node over real sockets, with a scripted provider behind them.
import { createServer, type IncomingMessage, request as requestHttp, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { makeId } from '@parley/protocol'
import pino from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { RelayMetrics } from '../metric/relay-metrics.ts'
import { Relay, type RelayedCall, relayHeaders } from '../model/relay-fetch.ts'
import { RelayLostError } from '../model/relayed-response.ts'
import { type RelayLimits, RelayServer } from './relay-server.ts'
import { relayTargets } from './relay-target.ts'

const SECRET = 'a-secret-of-at-least-32-bytes-for-the-relay'
const OTHER = 'another-secret-of-at-least-32-bytes-for-it'
const LIMITS: RelayLimits = {
  streams: 100,
  streamBytes: 1024 * 1024,
  bytes: 16 * 1024 * 1024,
  requestBytes: 1024 * 1024,
  orphanMs: 60_000,
  streamMs: 60_000,
}
const logger = pino({ level: 'silent' })

interface Exchange {
  readonly request: IncomingMessage
  readonly body: string
  readonly response: ServerResponse
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

let exchanges: Exchange[]
let providerUrl: string
let answer: (exchange: Exchange) => void

beforeEach(async () => {
  exchanges = []
  answer = ({ response }) => response.writeHead(200, { 'content-type': 'text/plain' }).flushHeaders()
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const exchange = { request, body, response }
    exchanges.push(exchange)
    answer(exchange)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  providerUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
})

async function startRelay(limits: Partial<RelayLimits> = {}, targets?: readonly string[]) {
  const server = new RelayServer({
    secrets: [SECRET, OTHER],
    targets: relayTargets(targets ?? [providerUrl]),
    limits: { ...LIMITS, ...limits },
    metricsToken: 'a-token-for-the-metrics',
    logger,
  })
  server.metrics = new RelayMetrics('relay', () => server.held)
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  cleanups.push(() => server.close())
  return { server, url: `http://127.0.0.1:${port}` }
}

function client(urls: string | readonly string[], secret = SECRET) {
  const bypassed: string[] = []
  const relay = new Relay({ urls: [urls].flat(), secret, logger, onBypass: (reason) => bypassed.push(reason) })
  cleanups.push(() => relay.close())
  const fetch = relay.fetch(globalThis.fetch)
  return {
    relay,
    bypassed,
    post: (key: string, init: RequestInit = {}, attempt = 1, url = `${providerUrl}/chat`) =>
      fetch(url, { method: 'POST', body: '{"a":1}', ...init, headers: { ...headersOf('start', key, attempt) } }),
    find: (key: string, attempt = 2) => relay.find({ key, attempt, mode: 'resume' }),
    /** After `find`. */
    resume: (key: string, attempt = 2, init: RequestInit = {}) =>
      fetch(`${providerUrl}/chat`, { method: 'POST', ...init, headers: headersOf('resume', key, attempt) }),
    release: (key: string, attempt = 1) => relay.release({ key, attempt, mode: 'start' }),
  }
}

function headersOf(mode: RelayedCall['mode'], key: string, attempt: number): Record<string, string> {
  return { authorization: 'Bearer provider-key', 'x-extra': 'é', ...relayHeaders({ mode, key, attempt }) }
}

async function statusOf(url: string, init: RequestInit = {}, secret = SECRET): Promise<[number, string]> {
  const headers = { authorization: `Bearer ${secret}`, 'parley-attempt': '1', ...init.headers }
  const response = await fetch(url, { ...init, headers })
  const body = response.status === 204 ? undefined : ((await response.json()) as { code?: string })
  return [response.status, body?.code ?? '']
}

const text = (response: Response): Promise<string> => response.text()

async function exchange(): Promise<Exchange> {
  await vi.waitFor(() => expect(exchanges.length).toBeGreaterThan(0), 20_000)
  return exchanges.at(-1) as Exchange
}

async function readSome(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const { value } = await reader.read()
  return Buffer.from(value ?? []).toString()
}

it('passes a request on, and its response as it arrives', async () => {
  const { url } = await startRelay()
  const { post, bypassed } = client(url)
  answer = ({ response }) =>
    response.writeHead(201, { 'x-from': 'provider', 'set-cookie': ['a=1', 'b=2'] }).flushHeaders()
  const response = await post('k1')
  expect(response.status).toBe(201)
  expect(response.headers.get('x-from')).toBe('provider')
  expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  const { request, body, response: sent } = await exchange()
  expect([request.method, request.url, body]).toEqual(['POST', '/v1/chat', '{"a":1}'])
  expect(request.headers.authorization).toBe('Bearer provider-key')
  expect(Object.keys(request.headers).filter((name) => name.startsWith('parley'))).toEqual([])
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  sent.write('one ')
  expect(await readSome(reader)).toBe('one ')
  sent.end('two')
  expect(await readSome(reader)).toBe('two')
  expect((await reader.read()).done).toBe(true)
  expect(bypassed).toEqual([])
})

it('gives the next owner the same bytes while the response continues, with one request to the provider', async () => {
  const { server, url } = await startRelay()
  const first = client(url)
  const response = await first.post('k1')
  const { response: sent } = await exchange()
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  sent.write('one ')
  expect(await readSome(reader)).toBe('one ')
  first.relay.close()
  sent.write('two ')
  const second = client(url)
  expect(await second.find('k1')).toBe(true)
  const resumed = await second.resume('k1')
  sent.end('three')
  expect(await text(resumed)).toBe('one two three')
  expect(exchanges).toHaveLength(1)
  const third = client(url)
  expect(await third.find('k1', 3)).toBe(true)
  expect(await text(await third.resume('k1', 3))).toBe('one two three')
  await third.release('k1', 3)
  expect(server.held).toEqual({ streams: 0, bytes: 0 })
  expect(await client(url).find('k1', 3)).toBe(false)
})

it('closes the request to the provider when the owner releases it', async () => {
  const { server, url } = await startRelay()
  const owner = client(url)
  await owner.post('k1')
  const { response: sent } = await exchange()
  const closed = new Promise((resolve) => sent.on('close', resolve))
  await owner.release('k1')
  await closed
  expect(server.held).toEqual({ streams: 0, bytes: 0 })
})

it('keeps the response for the next owner when a replaced owner releases it', async () => {
  const { url } = await startRelay()
  const old = client(url)
  const controller = new AbortController()
  const reading = text(await old.post('k1', { signal: controller.signal }))
  controller.abort(new Error('replaced'))
  await expect(reading).rejects.toThrow('replaced')
  const next = client(url)
  expect(await next.find('k1')).toBe(true)
  // Too late: the next owner reads.
  await old.release('k1')
  const resumed = await next.resume('k1')
  ;(await exchange()).response.end('whole')
  expect(await text(resumed)).toBe('whole')
})

it('refuses the request of a slow owner after the next one asked for it', async () => {
  const { url } = await startRelay()
  const old = client(url)
  expect(await client(url).find('k1')).toBe(false)
  await expect(old.post('k1')).rejects.toThrow(RelayLostError)
  expect(exchanges).toEqual([])
})

it('sends a refused request again under the same key, in another form', async () => {
  const { url } = await startRelay()
  const owner = client(url)
  answer = ({ response }) => response.writeHead(400).end('no')
  expect((await owner.post('k1')).status).toBe(400)
  answer = ({ response }) => response.end('yes')
  expect(await text(await owner.post('k1'))).toBe('yes')
  expect(owner.bypassed).toEqual([])
})

it('reports a lost relay in the middle of a response', async () => {
  const { server, url } = await startRelay()
  const owner = client(url)
  const response = await owner.post('k1')
  ;(await exchange()).response.write('one ')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  expect(await readSome(reader)).toBe('one ')
  await server.close()
  await expect(reader.read()).rejects.toThrow(RelayLostError)
})

it('aborts a stream that nobody reads', async () => {
  const { server, url } = await startRelay({ orphanMs: 50 })
  const controller = new AbortController()
  text(await client(url).post('k1', { signal: controller.signal })).catch(() => undefined)
  const { response: sent } = await exchange()
  const closed = new Promise((resolve) => sent.on('close', resolve))
  controller.abort()
  await closed
  expect(server.held).toEqual({ streams: 0, bytes: 0 })
  const metrics = await fetch(`${url}/metrics`, { headers: { authorization: 'Bearer a-token-for-the-metrics' } })
  expect(await metrics.text()).toMatch(/parley_relay_orphaned_total\{node="relay"\} 1/)
})

it('holds the provider back while the owner is slow, and loses nothing', async () => {
  const { server, url } = await startRelay({ streamBytes: 256 * 1024 })
  const response = await client(url).post('k1')
  const { response: sent } = await exchange()
  const all = Buffer.alloc(8 * 1024 * 1024, 'abcdefgh')
  const ended = new Promise<void>((resolve) => sent.end(all, resolve))
  await vi.waitFor(() => expect(server.held.bytes).toBeGreaterThanOrEqual(256 * 1024), 20_000)
  expect(server.held.bytes).toBeLessThan(1024 * 1024)
  const got = Buffer.from(await response.arrayBuffer())
  await ended
  expect(got.equals(all)).toBe(true)
  // The beginning was dropped, so a later owner has to ask the provider again.
  expect(await client(url).find('k1')).toBe(false)
  expect(server.held.streams).toBe(0)
})

it('gives the next owner all of a large response at once', async () => {
  const { url } = await startRelay({ streamBytes: 64 * 1024 * 1024, bytes: 64 * 1024 * 1024 })
  const all = Buffer.alloc(20 * 1024 * 1024, 'abcdefgh')
  answer = ({ response }) => response.end(all)
  expect((await (await client(url).post('k1')).arrayBuffer()).byteLength).toBe(all.length)
  const next = client(url)
  expect(await next.find('k1')).toBe(true)
  expect(Buffer.from(await (await next.resume('k1')).arrayBuffer()).equals(all)).toBe(true)
})

it('passes the errors of sockets on', async () => {
  const { url } = await startRelay({}, [providerUrl, 'http://127.0.0.1:9'])
  const { post } = client(url)
  await expect(post('k1', {}, 1, 'http://127.0.0.1:9/v1')).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } })
  const response = await post('k2')
  ;(await exchange()).response.destroy()
  await expect(text(response)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } })
})

it('decompresses what a provider compresses unasked', async () => {
  const { url } = await startRelay()
  answer = ({ response }) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('plain text'))
  const response = await client(url).post('k1')
  expect(response.headers.get('content-encoding')).toBeNull()
  expect(await text(response)).toBe('plain text')
})

it('follows redirects only to the same host among its targets', async () => {
  const { url } = await startRelay()
  const { post } = client(url)
  answer = ({ request, response, body }) => {
    if (request.url === '/v1/chat') response.writeHead(307, { location: '/v1/moved' }).end()
    else response.end(`${request.method} ${request.url} ${body}`)
  }
  expect(await text(await post('k1'))).toBe('POST /v1/moved {"a":1}')
  for (const [key, location] of Object.entries({ k2: 'http://localhost:1/v1/x', k3: '/elsewhere', k4: '/v1/chat' })) {
    answer = ({ response }) => response.writeHead(308, { location }).end()
    await expect(post(key)).rejects.toMatchObject({ cause: { code: 'relay_redirect' } })
  }
})

it('asks the provider directly when no relay accepts the request', async () => {
  const { server, url } = await startRelay({ streams: 1 })
  answer = ({ response }) => response.end('direct')
  const unreachable = client('http://127.0.0.1:9')
  expect(await text(await unreachable.post('k1'))).toBe('direct')
  expect(unreachable.bypassed).toEqual(['unreachable'])
  const unknown = client(url, 'a-secret-that-the-relay-does-not-know-at-all')
  expect(await text(await unknown.post('k1'))).toBe('direct')
  expect(unknown.bypassed).toEqual(['status_401'])
  const draining = client(url)
  answer = ({ response }) => response.writeHead(200).flushHeaders()
  await draining.post('held')
  const drained = server.drain()
  answer = ({ response }) => response.end('direct')
  expect(await text(await draining.post('k2'))).toBe('direct')
  expect(draining.bypassed).toEqual(['status_503'])
  await draining.release('held')
  await drained
})

it('uses the next relay when one is away, and finds the stream there', async () => {
  const { url } = await startRelay()
  const relays = ['http://127.0.0.1:9', url]
  answer = ({ response }) => response.end('whole')
  for (let index = 0; index < 8; index += 1) {
    const owner = client(relays)
    expect(await text(await owner.post(`k${index}`))).toBe('whole')
    expect(owner.bypassed).toEqual([])
    const next = client(relays)
    expect(await next.find(`k${index}`)).toBe(true)
    expect(await text(await next.resume(`k${index}`))).toBe('whole')
  }
  expect(exchanges).toHaveLength(8)
})

it('sends a request again if an idle connection was closed meanwhile', async () => {
  let connections = 0
  const { server, url } = await startRelay()
  answer = ({ response }) => response.end('whole')
  // A proxy in front of the relay, which closes a connection at its second request.
  const proxy = createServer((request, response) => {
    const socket = request.socket as typeof request.socket & { seen?: true }
    if (socket.seen === true) return void socket.resetAndDestroy()
    socket.seen = true
    connections += 1
    const { method, url: path, headers } = request
    const passed = requestHttp(`${url}${path}`, { method, headers }, (answered) => {
      response.writeHead(answered.statusCode ?? 500, answered.headers)
      answered.pipe(response)
    })
    request.pipe(passed)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const owner = client(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
  expect(await text(await owner.post('k1'))).toBe('whole')
  // Their connections stay open.
  await owner.release('k1')
  expect(server.held.streams).toBe(0)
  expect(await text(await owner.post('k2'))).toBe('whole')
  expect(owner.bypassed).toEqual([])
  expect(connections).toBe(3)
  await owner.release('k2')
  expect(server.held.streams).toBe(0)
})

it('serves a Unix socket', async () => {
  const path = join(tmpdir(), `${makeId('relay')}.sock`)
  const server = new RelayServer({ secrets: [SECRET], targets: relayTargets([providerUrl]), limits: LIMITS, logger })
  await server.listen({ path })
  cleanups.push(() => server.close())
  answer = ({ response }) => response.end('whole')
  const owner = client(`unix:${path}`)
  expect(await text(await owner.post('k1'))).toBe('whole')
  expect(owner.bypassed).toEqual([])
})

it('refuses hostile requests with a typed error', async () => {
  const { url } = await startRelay()
  const stream = `${url}/v1/streams/k1`
  const call = (target: string, more = '') => `${JSON.stringify({ method: 'POST', url: target, headers: {} })}\n${more}`
  const post = (body: string, init: RequestInit = {}) => statusOf(stream, { method: 'POST', body, ...init })
  expect(await statusOf(stream, {}, 'x')).toEqual([401, 'unauthenticated'])
  expect(await post(call('http://169.254.169.254/latest'))).toEqual([403, 'target_forbidden'])
  expect(await post(call(`${providerUrl}/../admin`))).toEqual([403, 'target_forbidden'])
  expect(await post(call(`${providerUrl}/..%2fadmin`))).toEqual([403, 'target_forbidden'])
  expect(await post(call(`${providerUrl}x/chat`))).toEqual([403, 'target_forbidden'])
  expect(await post('no line')).toEqual([400, 'malformed'])
  expect(await post(`{"method":"POST"}\n`)).toEqual([400, 'malformed'])
  expect(await post(call(`${providerUrl}/chat`), { headers: { 'parley-attempt': 'x' } })).toEqual([400, 'malformed'])
  expect(await post(call(`${providerUrl}/chat`, 'x'.repeat(2 * 1024 * 1024)))).toEqual([413, 'too_large'])
  expect(await statusOf(`${url}/v1/streams/k0`)).toEqual([404, 'unknown_stream'])
  expect(await statusOf(`${url}/v1/streams/${'k'.repeat(300)}`)).toEqual([404, 'not_found'])
  expect(await statusOf(`${url}/metrics`)).toEqual([401, 'unauthenticated'])
  await client(url).post('k1')
  expect(await post(call(`${providerUrl}/chat`))).toEqual([409, 'stream_exists'])
  expect(await statusOf(`${stream}?offset=5`)).toEqual([416, 'bad_offset'])
  expect(await statusOf(stream, {}, OTHER)).toEqual([404, 'unknown_stream'])
  expect(exchanges).toHaveLength(1)
})

it('answers a chunked body that is too large before its end', async () => {
  const { server, url } = await startRelay()
  const request = requestHttp(`${url}/v1/streams/k1`, {
    method: 'POST',
    headers: { authorization: `Bearer ${SECRET}`, 'parley-attempt': '1' },
  })
  request.on('error', () => undefined)
  const answered = new Promise<number | undefined>((resolve) => {
    request.on('response', (response) => resolve(response.statusCode))
  })
  request.write(Buffer.alloc(2 * 1024 * 1024))
  expect(await answered).toBe(413)
  request.destroy()
  await vi.waitFor(() => expect(server.held.bytes).toBe(0), 20_000)
})

it('refuses heads beyond its limit', async () => {
  const { url } = await startRelay()
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let got = ''
  socket.on('data', (chunk) => {
    got += chunk
  })
  socket.on('error', () => undefined)
  socket.write(`GET /healthz HTTP/1.1\r\nhost: x\r\n${`x-bomb: ${'b'.repeat(1000)}\r\n`.repeat(64)}\r\n`)
  await new Promise((resolve) => socket.on('close', resolve))
  expect(got).toMatch(/^HTTP\/1.1 431/)
})

it('makes room by dropping complete streams that nobody reads, and refuses beyond', async () => {
  const { server, url } = await startRelay({ streams: 2 })
  const owner = client(url)
  answer = ({ response }) => response.end('whole')
  await text(await owner.post('done'))
  answer = ({ response }) => response.writeHead(200).flushHeaders()
  await owner.post('open1')
  await owner.post('open2')
  expect(server.held.streams).toBe(2)
  answer = ({ response }) => response.end('direct')
  expect(await text(await owner.post('open3'))).toBe('direct')
  expect(owner.bypassed).toEqual(['status_503'])
})

it('ends a stream that lasts too long, however slowly its provider sends', async () => {
  const { server, url } = await startRelay({ streamMs: 200 })
  const response = await client(url).post('k1')
  const { response: sent } = await exchange()
  const closed = new Promise((resolve) => sent.on('close', resolve))
  sent.write('a')
  await expect(text(response)).rejects.toThrow(RelayLostError)
  await closed
  expect(server.held).toEqual({ streams: 0, bytes: 0 })
})

it('refuses a response with a head beyond the limit', async () => {
  const { url } = await startRelay()
  answer = ({ response }) => response.writeHead(200, { 'x-bomb': Array(64).fill('b'.repeat(1000)) }).end('whole')
  await expect(client(url).post('k1')).rejects.toMatchObject({ cause: { code: 'HPE_HEADER_OVERFLOW' } })
})

it('holds a compressed body back before it grows', async () => {
  const { server, url } = await startRelay({ streamBytes: 256 * 1024 })
  const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024))
  answer = ({ response }) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
  const owner = client(url)
  await owner.post('k1')
  await vi.waitFor(() => expect(server.held.bytes).toBeGreaterThanOrEqual(256 * 1024), 20_000)
  expect(server.held.bytes).toBeLessThan(1024 * 1024)
  await owner.release('k1')
  expect(server.held.bytes).toBe(0)
})
