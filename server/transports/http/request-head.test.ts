// Heads of requests as networks deliver them: split anywhere, and large. The old build of uWebSockets.js has known faults;
// the tests expect exactly these from it, so that they say what they prove on either build.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { z } from 'zod'
import { RawConnection } from '../test/http-harness.ts'
import { TransportHarness } from '../test/transport-harness.ts'
import { HEAD_BYTES, loadUws } from '../uws.ts'
import { trustedProxies } from './client-address.ts'
import type { Route } from './route.ts'

const { fallback } = loadUws()

const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/seen',
    handle(exchange) {
      exchange.reply(200, { address: exchange.request.address, a: exchange.request.query.get('a') })
    },
  },
  {
    method: 'POST',
    path: '/echo',
    async handle(exchange) {
      exchange.reply(200, await exchange.request.json(z.object({ text: z.string() })))
    },
  },
]

const HEADERS = 'Host: 127.0.0.1\r\nAccept: application/json\r\n'
const GET = `GET /seen?a=1 HTTP/1.1\r\n${HEADERS}\r\n`
const HANDSHAKE = `GET /v1/ws HTTP/1.1\r\n${HEADERS}Connection: Upgrade\r\nUpgrade: websocket\r
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
const BODY = '{"text":"hello"}'
const POST = `POST /echo HTTP/1.1\r\n${HEADERS}Content-Type: application/json\r\n`
/** The PROXY protocol, version 2: TCP over IPv4 from 203.0.113.7:4660 to 127.0.0.1:80. */
const PROXY = '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x12\x34\0\x50'

let harness: TransportHarness

beforeEach(async () => {
  harness = await TransportHarness.open({ routes: () => routes, http: { proxies: trustedProxies(['127.0.0.1']) } })
})
afterEach(() => harness.close())

async function open(): Promise<RawConnection> {
  const socket = connect(harness.port, '127.0.0.1')
  await once(socket, 'connect')
  return new RawConnection(socket)
}

/** Sends bytes, each character one. Resolves when the kernel has them, or when the server has closed the connection. */
function send({ socket }: RawConnection, bytes: string): Promise<void> {
  socket.setNoDelay()
  return new Promise((resolve) => socket.write(bytes, 'latin1', () => resolve()))
}

/** Resolves when the server has read what other connections sent before. The first request waits until it accepted them. */
async function barrier(): Promise<void> {
  for (let request = 0; request < 2; request += 1) await (await harness.fetch('/seen')).text()
}

/** Sends the request in two packets, once for each place between two bytes. @returns the answers by the place */
async function answersOfSplits(request: string): Promise<Map<number, string>> {
  const places = Array.from({ length: request.length - 1 }, (_, index) => index + 1)
  const connections = await Promise.all(places.map(open))
  await Promise.all(connections.map((connection, index) => send(connection, request.slice(0, index + 1))))
  await barrier()
  await Promise.all(connections.map((connection, index) => send(connection, request.slice(index + 1))))
  const answers = new Map<number, string>()
  for (const [index, connection] of connections.entries()) {
    const text = await connection.until('\r\n\r\n')
    answers.set(index + 1, text.slice(0, text.indexOf('\r\n')))
    connection.socket.destroy()
  }
  return answers
}

describe('a request in two packets', () => {
  it.each([
    ['GET', '', GET],
    ['POST with a length', '', `${POST}Content-Length: ${BODY.length}\r\n\r\n${BODY}`],
    ['POST in chunks', '', `${POST}Transfer-Encoding: chunked\r\n\r\n10\r\n${BODY}\r\n0\r\n\r\n`],
    ['GET after a PROXY header', PROXY, GET],
    ['WebSocket handshake', '', HANDSHAKE],
  ])(
    fallback ? '%s: the old build answers 505 if its request line is split' : '%s: is answered',
    async (_, proxy, request) => {
      const answers = await answersOfSplits(`${proxy}${request}`)
      const bad = [...answers].filter(([, answer]) => !/^HTTP\/1\.1 (200|101) /.test(answer))
      const line = request.indexOf('\n')
      const split = bad.filter(([place, answer]) => {
        return place >= proxy.length && place <= proxy.length + line && answer.startsWith('HTTP/1.1 505 ')
      })
      expect(split.length > 0).toBe(fallback)
      expect(bad).toEqual(split)
    },
  )
})

describe('a head', () => {
  const LONG = 'x'.repeat(HEAD_BYTES - 1024)

  it('of 15 kB is accepted, as a URL and as headers', async () => {
    const url = await harness.fetch(`/seen?a=${LONG}`)
    expect(await url.json()).toMatchObject({ a: LONG })
    expect((await harness.fetch('/seen', { headers: { Authorization: `Bearer ${LONG}` } })).status).toBe(200)
    const many = Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`X-Header-${index}`, 'x'.repeat(150)]))
    expect((await harness.fetch('/seen', { headers: many })).status).toBe(200)
  })

  it('of 15 kB is accepted with the access token of a browser, in a WebSocket handshake', async () => {
    const socket = new WebSocket(harness.url, ['parley.v1.json', `parley.token.${LONG}`])
    await once(socket, 'open')
    socket.terminate()
  })

  it('of 15 kB is accepted in many packets', async () => {
    const connection = await open()
    const request = `GET /seen HTTP/1.1\r\n${HEADERS}Authorization: Bearer ${LONG}\r\n\r\n`
    for (let at = 0; at < request.length; at += 1460) {
      await send(connection, request.slice(at, at + 1460))
      await barrier()
    }
    expect(await connection.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('of more than 16 kB is refused with a problem document', async () => {
    for (const answer of [
      await harness.fetch('/seen', { headers: { 'X-Bomb': 'x'.repeat(HEAD_BYTES) } }),
      await harness.fetch(`/seen?a=${'x'.repeat(HEAD_BYTES)}`),
    ]) {
      expect(answer.status).toBe(431)
      expect(await answer.json()).toMatchObject({ code: 'headers_too_large' })
    }
  })

  // The old build does not answer too many fields: it closes the connection after 10 s.
  it('of more than 32 kB, or with more than 100 fields, ends the connection', async () => {
    for (const fields of [`X-Bomb: ${'x'.repeat(2 * HEAD_BYTES)}`, 'X-Bomb: 1\r\n'.repeat(500)]) {
      const connection = await open()
      await send(connection, `GET /seen HTTP/1.1\r\n${HEADERS}${fields}`)
      await connection.closed
      expect(connection.text).not.toContain('200 OK')
    }
    expect((await harness.fetch('/seen')).status).toBe(200)
  })
})
