// The HTTP layer by itself: what every route can rely on, and what no client can do to it.
import { ReplyError } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ConnectionCount } from '../../limit/connection-count.ts'
import { HttpHarness, type HttpHarnessOptions } from '../test/http-harness.ts'
import type { Route } from './route.ts'

const Body = z.object({ name: z.string(), list: z.array(z.object({ n: z.number() })).optional() })

const hanging: Route = { method: 'GET', path: '/hang', handle: ({ request }) => aborted(request.signal) }
const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/things/:thing/of/:owner',
    handle(exchange) {
      const { params, query, user, role } = exchange.request
      exchange.reply(200, { params, a: query.get('a'), user, role })
    },
  },
  {
    method: 'POST',
    path: '/things',
    async handle(exchange) {
      exchange.reply(201, await exchange.request.json(Body), { Location: '/things/1' })
    },
  },
  { method: 'DELETE', path: '/things', handle: (exchange) => exchange.reply(204) },
  { method: 'GET', path: '/open', open: true, handle: (exchange) => exchange.reply(200, { open: true }) },
  {
    method: 'GET',
    path: '/fails/:code',
    handle({ request }) {
      if (request.params.code === 'fault') throw new Error('a secret of ours')
      throw new ReplyError('queue_full', 'Wait.', { retryAfterMs: 1_500 })
    },
  },
  hanging,
]

let harness: HttpHarness

async function open(options: HttpHarnessOptions = {}, more: readonly Route[] = []): Promise<void> {
  harness = await HttpHarness.open([...routes, ...more], options)
}

afterEach(() => harness.close())

describe('a route', () => {
  it('has the parameters of its path decoded, and its query', async () => {
    await open()
    const answer = await harness.fetch('/things/a%2Fb/of/%C3%A4?a=1%202')
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      params: { thing: 'a/b', owner: 'ä' },
      a: '1 2',
      user: 'anonymous',
      role: 'owner',
    })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('refuses a path that cannot be decoded', async () => {
    await open()
    const answer = await harness.fetch('/things/%ff/of/me')
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'bad_request', status: 400, retryable: false })
  })

  it('echoes a request id that is one, and makes one otherwise', async () => {
    await open()
    const given = await harness.fetch('/open', { headers: { 'X-Request-Id': 'abc-1' } })
    expect(given.headers.get('x-request-id')).toBe('abc-1')
    const made = await harness.fetch('/open', { headers: { 'X-Request-Id': 'not an id' } })
    expect(made.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{25}$/)
  })

  it('answers HEAD with the headers alone', async () => {
    await open()
    const answer = await harness.fetch('/open', { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '13', ''])
  })

  it('says which methods its address takes', async () => {
    await open()
    const answer = await harness.fetch('/things', { method: 'PUT', body: '{}' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, DELETE, OPTIONS'])
    expect(await answer.json()).toMatchObject({ code: 'method_not_allowed' })
    const deleted = await harness.fetch('/things', { method: 'DELETE' })
    expect([deleted.status, await deleted.text()]).toEqual([204, ''])
  })
})

describe('an error', () => {
  it('is told as a problem, with when to come back', async () => {
    await open()
    const answer = await harness.fetch('/fails/full', { headers: { 'X-Request-Id': 'r1' } })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '2'])
    expect(await answer.json()).toEqual({
      type: 'about:blank',
      title: 'Too many runs of this session wait for their turn.',
      status: 429,
      code: 'queue_full',
      detail: 'Wait.',
      retryable: true,
      requestId: 'r1',
    })
  })

  it('that nobody threw on purpose says nothing of itself', async () => {
    await open()
    const answer = await harness.fetch('/fails/fault')
    expect(answer.status).toBe(500)
    const text = await answer.text()
    expect(text).not.toContain('secret')
    expect(JSON.parse(text)).toMatchObject({ code: 'internal', title: 'Something went wrong on the server.' })
  })
})

describe('a body', () => {
  const post = (body: string, headers: Record<string, string> = { 'Content-Type': 'application/json' }) =>
    harness.fetch('/things', { method: 'POST', body, headers })

  it('is read by its schema', async () => {
    await open()
    const answer = await post('{"name":"x"}', { 'Content-Type': 'application/json; charset=utf-8' })
    expect([answer.status, answer.headers.get('location')]).toEqual([201, '/things/1'])
    expect(await answer.json()).toEqual({ name: 'x' })
  })

  it.each([
    ['a wrong type', '{"name":1}', 'bad_request', 400, 'name'],
    ['a wrong type deep inside', '{"name":"x","list":[{"n":1},{"n":"2"}]}', 'bad_request', 400, 'list.1.n'],
    ['nothing at all', '', 'bad_request', 400, 'name'],
    ['what is not JSON', '{"name":', 'bad_request', 400, undefined],
    ['what is nested without end', `{"name":${'['.repeat(5000)}`, 'bad_request', 400, undefined],
    ['what is larger than it may be', JSON.stringify({ name: 'x'.repeat(1100 * 1024) }), 'too_large', 413, undefined],
  ])('with %s is refused', async (_, body, code, status, path) => {
    await open()
    const answer = await post(body)
    expect(answer.status).toBe(status)
    const problem = await answer.json()
    expect(problem).toMatchObject({ code, status })
    expect(problem.path).toBe(path)
    // The connection goes on.
    expect((await post('{"name":"x"}')).status).toBe(201)
  })

  it('of another media type is refused', async () => {
    await open()
    for (const headers of [
      { 'Content-Type': 'text/plain' },
      { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
    ]) {
      const answer = await post('{"name":"x"}', headers)
      expect([answer.status, (await answer.json()).code]).toEqual([415, 'unsupported_media_type'])
    }
  })

  it('that is too slow is refused, and the connection closed', async () => {
    await open({ body: { bytes: 1024, ms: 100 } })
    const slow = await harness.connect()
    slow.write(
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"na',
    )
    await slow.closed
    expect(slow.text).toMatch(/^HTTP\/1\.1 408 /)
    expect(slow.text).toContain('"code":"body_timeout"')
    expect(harness.door.requests).toBe(0)
  })

  it('that is huge is refused before it comes', async () => {
    await open({ body: { bytes: 1024, ms: 10_000 } })
    const huge = await harness.connect()
    huge.write('POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n')
    await huge.closed
    expect(huge.text).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('that goes on and on in chunks is cut off', async () => {
    await open({ body: { bytes: 1024, ms: 10_000 } })
    const endless = await harness.connect()
    endless.write('POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let sent = 0; sent < 40; sent += 1) endless.write(`400\r\n${'x'.repeat(1024)}\r\n`)
    await endless.closed
    expect(harness.door.requests).toBe(0)
  })

  it('in chunks is read as any other', async () => {
    await open()
    const chunked = await harness.connect()
    chunked.write(
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    chunked.write('5\r\n{"nam\r\n')
    chunked.write('7\r\ne":"y"}\r\n0\r\n\r\n')
    expect(await chunked.until('"y"}')).toMatch(/^HTTP\/1\.1 201 /)
  })

  it('whose client leaves in the midst leaves nothing behind', async () => {
    await open()
    const leaver = await harness.connect()
    leaver.write(
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    )
    await until(() => harness.door.requests === 1)
    leaver.socket.destroy()
    await until(() => harness.door.requests === 0)
  })

  it('is heard to its end by whoever refuses it for another reason, so that the next request is read', async () => {
    await open({ auth: { jwtSecret: 'a secret of some length, for tests' } })
    const early = await harness.connect()
    early.write('POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 12\r\n\r\n{"name"')
    await until(() => harness.door.requests === 1)
    early.write(':"x"}')
    expect(await early.until('requestId')).toMatch(/^HTTP\/1\.1 401 .*www-authenticate: bearer/is)
    early.write('GET /open HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    expect(await early.until('"open":true')).toContain('HTTP/1.1 200 OK')
  })
})

describe('who may call', () => {
  const secret = 'a secret of some length, for tests'

  it('needs a token where tokens are checked, but for what is open', async () => {
    await open({ auth: { jwtSecret: secret } })
    const refused = await harness.fetch('/things/a/of/b', { headers: { Authorization: 'Bearer nonsense' } })
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect((await harness.fetch('/open')).status).toBe(200)
  })

  it('is decided by the origin list', async () => {
    await open({ allowedOrigins: ['https://chat.example.com'] })
    const from = (origin: string) => harness.fetch('/things/a/of/b', { headers: { Origin: origin } })
    const allowed = await from('https://chat.example.com')
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([
      200,
      'https://chat.example.com',
    ])
    expect(allowed.headers.get('access-control-expose-headers')).toBe(
      'Location, Retry-After, ETag, X-Request-Id, Preference-Applied, Parley-Cursor, Idempotent-Replayed, WWW-Authenticate',
    )
    const foreign = await from('https://elsewhere.example.com')
    expect([foreign.status, foreign.headers.get('access-control-allow-origin')]).toEqual([403, null])
    expect(await foreign.json()).toMatchObject({ code: 'forbidden' })
  })

  it('is told to a browser that asks before', async () => {
    await open({ allowedOrigins: ['https://chat.example.com'] })
    const ask = (origin: string) =>
      harness.fetch('/things', {
        method: 'OPTIONS',
        headers: {
          Origin: origin,
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'authorization,idempotency-key',
        },
      })
    const yes = await ask('https://chat.example.com')
    expect(yes.status).toBe(204)
    expect(Object.fromEntries(yes.headers)).toMatchObject({
      'access-control-allow-origin': 'https://chat.example.com',
      'access-control-allow-methods': 'POST, DELETE',
      'access-control-allow-headers': 'authorization,idempotency-key',
      'access-control-max-age': '600',
      vary: 'Origin',
    })
    expect((await ask('https://elsewhere.example.com')).status).toBe(403)
  })

  it('is nobody who came by a foreign name that was made to point here, where all are anonymous', async () => {
    await open()
    const rebound = await harness.connect()
    rebound.write('GET /things/a/of/b HTTP/1.1\r\nHost: evil.example.com\r\n\r\n')
    expect(await rebound.until('requestId')).toMatch(/^HTTP\/1\.1 403 /)
  })
})

describe('limits', () => {
  it('hold for how often one asks', async () => {
    await open({ requests: { perSecond: 1, burst: 3 } })
    const statuses: number[] = []
    for (let sent = 0; sent < 4; sent += 1) statuses.push((await harness.fetch('/things/a/of/b')).status)
    expect(statuses).toEqual([200, 200, 200, 429])
    const refused = await harness.fetch('/things/a/of/b')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(await refused.json()).toMatchObject({ code: 'rate_limited', retryable: true })
  })

  it('hold for how many requests of one address are open, and end with them', async () => {
    await open({ connections: new ConnectionCount({ total: 10, perAddress: 1 }) })
    const leaver = new AbortController()
    const held = harness.fetch('/hang', { signal: leaver.signal })
    await until(() => harness.door.requests === 1)
    const refused = await harness.fetch('/open')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10'])
    leaver.abort()
    await expect(held).rejects.toThrow('aborted')
    await until(() => harness.door.requests === 0)
    expect((await harness.fetch('/open')).status).toBe(200)
  })

  it('hold for headers', async () => {
    await open()
    const large = await harness.fetch('/open', { headers: { 'X-Bomb': 'x'.repeat(40 * 1024) } })
    // Newer builds of uWS say so themselves, in words of their own.
    expect([
      large.status,
      (await large.text()).includes('too_large') || large.headers.get('x-request-id') === null,
    ]).toEqual([431, true])
    // What has not come whole after a few kB is not waited for.
    const bomber = await harness.connect()
    bomber.write(`GET /open HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Bomb: ${'x'.repeat(8 * 1024)}`)
    await bomber.closed
    expect(bomber.text).not.toContain('200 OK')
    const many = await harness.connect()
    many.write(`GET /open HTTP/1.1\r\nHost: 127.0.0.1\r\n${'X-Bomb: 1\r\n'.repeat(500)}\r\n`)
    await many.closed
    expect(many.text).not.toContain('200 OK')
    expect((await harness.fetch('/open')).status).toBe(200)
  })

  it('hold for a second request before the first was answered: the connection is closed', async () => {
    await open()
    const eager = await harness.connect()
    eager.write('GET /hang HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /open HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    await eager.closed
    expect(eager.text).toBe('')
    await until(() => harness.door.requests === 0)
  })

  it('do not hold for requests one after the other in one packet', async () => {
    await open()
    const pipelined = await harness.connect()
    pipelined.write('GET /open HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(3))
    await until(() => pipelined.text.split('HTTP/1.1 200 OK').length === 4)
  })
})

async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** Looks again every few turns. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}
