// An outage of the key set: no valid token is refused as invalid. Before, every failure of the URL except a refused
// connection was answered with 401, because jose rejects with JOSEError for an invalid token and for an answer of 500 alike.
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import type { Logger } from 'pino'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { KeySet, KeySetError } from './key-set.ts'

let server: Server
let answer: RequestListener
let good: RequestListener
let fetches: number
let token: string
let unknown: string
let time: number
let lines: string[]
const fetched: string[] = []

beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }]
  const sign = (kid: string) => new SignJWT().setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey)
  token = await sign('k1')
  unknown = await sign('k2')
  good = (_, response) => response.end(JSON.stringify({ keys }))
  server = createServer((request, response) => {
    fetches += 1
    answer(request, response)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})

beforeEach(() => {
  answer = good
  fetches = 0
  time = 0
  lines = []
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function open(fetchMs?: number) {
  const log = (level: string) => (fields: { knownKeys?: boolean }, message: string) =>
    lines.push(`${level} ${message} ${fields.knownKeys ?? ''}`.trim())
  const keys = new KeySet({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys?secret`,
    fetchMs,
    now: () => time,
    logger: { error: log('error'), info: log('info') } as unknown as Logger,
    onFetched: (result) => fetched.push(result),
  })
  return (by = token) => jwtVerify(by, keys.find)
}

const MINUTE = 60_000
const OTHER_KEYS =
  '{"kty":"oct","k":"AAAA"},{"kty":"EC","kid":"k1","use":"enc"},{"kty":"EC","kid":"k1","key_ops":["deriveKey"]},{"kid":"k1"},null'
const outages: [string, RequestListener][] = [
  ['500', (_, response) => response.writeHead(500).end('{}')],
  ['HTML', (_, response) => response.end('<html>Sign in</html>')],
  ['a redirect', (_, response) => response.writeHead(302, { Location: '/login' }).end()],
  ['JSON without keys', (_, response) => response.end('{"error":"busy"}')],
  ['an empty set', (_, response) => response.end('{"keys":[]}')],
  ['a set with keys for other purposes', (_, response) => response.end(`{"keys":[${OTHER_KEYS}]}`)],
  ['a set that is too large', (_, response) => response.end(`{"keys":["${'x'.repeat(2 ** 21)}"]}`)],
  ['no answer', (request) => request.destroy()],
  ['a body that does not end', (_, response) => void response.write('{')],
]

for (const [what, outage] of outages) {
  test(`${what} is an outage: known keys stay valid for an hour, then no token is verified, valid or not`, async () => {
    const verify = open(100)
    answer = outage
    await expect(verify()).rejects.toThrow(KeySetError)
    answer = good
    time += MINUTE
    await verify()
    answer = outage
    // The keys are older than five minutes.
    time += 59 * MINUTE
    await verify()
    await expect(verify(unknown)).rejects.toThrow(KeySetError)
    time += 2 * MINUTE
    await expect(verify()).rejects.toThrow(KeySetError)
    answer = good
    time += MINUTE
    await verify()
    expect(lines).toEqual([
      'error failed to fetch the key set false',
      'info fetching the key set works again',
      'error failed to fetch the key set true',
      'error failed to fetch the key set false',
      'info fetching the key set works again',
    ])
  })
}

test('during an outage, tokens do not wait for the URL, which is asked every five seconds', async () => {
  const verify = open()
  await verify()
  answer = outages[0]?.[1] as RequestListener
  time += 6 * MINUTE
  await verify()
  // Never answers.
  answer = () => undefined
  for (let second = 0; second < 20; second++) {
    time += 1_000
    await verify()
  }
  expect(fetches).toBe(3)
  expect(fetched.slice(-2)).toEqual(['ok', 'failed'])
  expect(lines).toEqual(['error failed to fetch the key set true'])
})
