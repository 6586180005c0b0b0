// The HTTP layer without the real routes: what it guarantees to every route, and which client behaviour it rejects.
import { LIMITS, ReplyError } from '@parley/protocol'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { ByteBudget } from '../../limit/byte-budget.ts'
import { ConnectionCount } from '../../limit/connection-count.ts'
import { HttpHarness, type HttpHarnessOptions } from '../test/http-harness.ts'
import type { Route } from './route.ts'

const Body = z.object({ name: z.string(), list: z.array(z.object({ n: z.number() })).optional() })
const Query = z.object({ n: z.string().regex(/^\d+$/).optional(), id: z.string().min(1).optional() })

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
  {
    method: 'GET',
    path: '/found',
    handle: (exchange) => exchange.reply(200, exchange.request.queryAs(Query)),
  },
  { method: 'DELETE', path: '/things', handle: (exchange) => exchange.reply(204) },
  { method: 'GET', path: '/open', open: true, handle: (exchange) => exchange.reply(200, { open: true }) },
  {
    method: 'GET',
    path: '/fails/:code',
    handle({ request }) {
      if (request.params.code === 'fault') throw new Error('a secret of the server')
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
  it('gets decoded path parameters and the query', async () => {
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

  it('takes a query parameter with an empty value for absent, and the first of several values', async () => {
    await open()
    const cases: [query: string, expected: object][] = [
      ['?n=&id=', {}],
      ['?n&id', {}],
      ['?n=&n=1&n=2', { n: '1' }],
      ['?id=%20', { id: ' ' }],
    ]
    for (const [query, expected] of cases) {
      const answer = await harness.fetch(`/found${query}`)
      expect(answer.status).toBe(200)
      expect(await answer.json()).toEqual(expected)
    }
    expect((await harness.fetch('/found?n=x')).status).toBe(400)
  })

  it('refuses a path with invalid percent-encoding', async () => {
    await open()
    const answer = await harness.fetch('/things/%ff/of/me')
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'bad_request', status: 400, retryable: false })
  })

  it('echoes a valid request id, and generates one otherwise', async () => {
    await open()
    const given = await harness.fetch('/open', { headers: { 'X-Request-Id': 'abc-1' } })
    expect(given.headers.get('x-request-id')).toBe('abc-1')
    const made = await harness.fetch('/open', { headers: { 'X-Request-Id': 'not an id' } })
    expect(made.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{25}$/)
  })

  it('answers HEAD with headers only', async () => {
    await open()
    const answer = await harness.fetch('/open', { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '13', ''])
  })

  it('answers an unsupported method with 405 and the allowed methods', async () => {
    await open()
    const answer = await harness.fetch('/things', { method: 'PUT', body: '{}' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, DELETE, OPTIONS'])
    expect(await answer.json()).toMatchObject({ code: 'method_not_allowed' })
    const deleted = await harness.fetch('/things', { method: 'DELETE' })
    expect([deleted.status, await deleted.text()]).toEqual([204, ''])
  })
})

describe('an error', () => {
  it('is sent as a problem with Retry-After', async () => {
    await open()
    const answer = await harness.fetch('/fails/full', { headers: { 'X-Request-Id': 'r1' } })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '2'])
    expect(await answer.json()).toEqual({
      type: 'about:blank',
      title: 'Limit of queued runs reached.',
      status: 429,
      code: 'queue_full',
      detail: 'Wait.',
      retryable: true,
      requestId: 'r1',
    })
  })

  it('that is unexpected reveals no details', async () => {
    await open()
    const answer = await harness.fetch('/fails/fault')
    expect(answer.status).toBe(500)
    const text = await answer.text()
    expect(text).not.toContain('secret')
    expect(JSON.parse(text)).toMatchObject({ code: 'internal', title: 'Internal server error.' })
  })
})

describe('a body', () => {
  const post = (body: string, headers: Record<string, string> = { 'Content-Type': 'application/json' }) =>
    harness.fetch('/things', { method: 'POST', body, headers })

  it('is parsed by its schema', async () => {
    await open()
    const answer = await post('{"name":"x"}', { 'Content-Type': 'application/json; charset=utf-8' })
    expect([answer.status, answer.headers.get('location')]).toEqual([201, '/things/1'])
    expect(await answer.json()).toEqual({ name: 'x' })
  })

  it.each([
    ['a wrong type', '{"name":1}', 'bad_request', 400, 'name'],
    ['a nested wrong type', '{"name":"x","list":[{"n":1},{"n":"2"}]}', 'bad_request', 400, 'list.1.n'],
    ['no content', '', 'bad_request', 400, 'name'],
    ['invalid JSON', '{"name":', 'bad_request', 400, undefined],
    ['very deep nesting', `{"name":${'['.repeat(5000)}`, 'bad_request', 400, undefined],
    [
      'too many keys and values',
      `{"name":"x","more":[${'{},'.repeat(LIMITS.values / 2)}{}]}`,
      'too_large',
      413,
      undefined,
    ],
    [
      'too many numbers that JavaScript would round',
      `{"name":"x","more":[${Array(20_001).fill('12345678901234567890').join(',')}]}`,
      'too_large',
      413,
      undefined,
    ],
    ['too many bytes', JSON.stringify({ name: 'x'.repeat(1100 * 1024) }), 'too_large', 413, undefined],
  ])('with %s is refused', async (_, body, code, status, path) => {
    await open()
    const answer = await post(body)
    expect(answer.status).toBe(status)
    const problem = await answer.json()
    expect(problem).toMatchObject({ code, status })
    expect(problem.path).toBe(path)
    // The connection stays usable.
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

  it('that arrives too slowly is refused, and the connection is closed', async () => {
    await open({ body: { bytes: 1024, ...shared(1024 * 1024), ms: 100 } })
    const slow = await harness.connect()
    slow.write(
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"na',
    )
    await slow.closed
    expect(slow.text).toMatch(/^HTTP\/1\.1 408 /)
    expect(slow.text).toContain('"code":"body_timeout"')
    expect(harness.transport.requests).toBe(0)
  })

  it('of a refused request is not kept, so that strangers cannot fill the memory', async () => {
    const { budget, strangers: part } = shared(256 * 1024)
    await open({
      body: { bytes: 1024 * 1024, budget, strangers: part, ms: 10_000 },
      auth: { jwtSecret: 'x'.repeat(32) },
    })
    const head =
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n'
    const strangers = await Promise.all(Array.from({ length: 8 }, () => harness.connect()))
    for (const stranger of strangers) {
      stranger.write(head)
      stranger.write('x'.repeat(999_999))
    }
    for (const stranger of strangers) {
      stranger.write('x')
      expect(await stranger.until('unauthenticated')).toMatch(/^HTTP\/1\.1 401 /)
    }
    expect(budget.used).toBe(0)
  })

  it('of a refused request holds its connection no longer than a small one', async () => {
    const body = { bytes: 64 * 1024 * 1024, ...shared(256 * 1024), ms: 100 }
    await open({ body, auth: { jwtSecret: 'x'.repeat(32) } })
    const stranger = await harness.connect()
    const since = performance.now()
    stranger.write('POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000000\r\n\r\n{')
    expect(await stranger.until('unauthenticated')).toMatch(/^HTTP\/1\.1 401 /)
    expect(performance.now() - since).toBeLessThan(4_000)
  })

  it('is refused with 503 while the bodies of all requests exceed their limit, and each end makes room', async () => {
    const { budget, strangers } = shared(64 * 1024)
    await open({ body: { bytes: 1024 * 1024, budget, strangers, ms: 10_000 } })
    const large = await harness.connect()
    large.write(
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n',
    )
    large.write(`{"name":"${'x'.repeat(50_000)}`)
    await vi.waitFor(() => expect(budget.used).toBeGreaterThan(50_000), 20_000)
    const answer = await post(JSON.stringify({ name: 'x'.repeat(20_000) }))
    expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true])
    expect((await post('{"name":"x"}')).status).toBe(201)
    large.write(`${'x'.repeat(60_000 - 50_000 - 11)}"}`)
    expect(await large.until('201')).toMatch(/^HTTP\/1\.1 201 /)
    expect(budget.used).toBe(0)
  })

  it('with a huge Content-Length is refused before it arrives', async () => {
    await open({ body: { bytes: 1024, ...shared(1024 * 1024), ms: 10_000 } })
    const huge = await harness.connect()
    huge.write('POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n')
    await huge.closed
    expect(huge.text).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('that is chunked and endless is cut off', async () => {
    await open({ body: { bytes: 1024, ...shared(1024 * 1024), ms: 10_000 } })
    const endless = await harness.connect()
    endless.write('POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let sent = 0; sent < 40; sent += 1) endless.write(`400\r\n${'x'.repeat(1024)}\r\n`)
    await endless.closed
    expect(harness.transport.requests).toBe(0)
  })

  it('that is chunked is parsed', async () => {
    await open()
    const chunked = await harness.connect()
    chunked.write(
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    chunked.write('5\r\n{"nam\r\n')
    chunked.write('7\r\ne":"y"}\r\n0\r\n\r\n')
    expect(await chunked.until('"y"}')).toMatch(/^HTTP\/1\.1 201 /)
  })

  it('is released when the client disconnects while sending it', async () => {
    await open()
    const client = await harness.connect()
    client.write(
      'POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    )
    await until(() => harness.transport.requests === 1)
    client.socket.destroy()
    await until(() => harness.transport.requests === 0)
  })

  it('is received to its end before the request is refused for another reason, so that the next request is read', async () => {
    await open({ auth: { jwtSecret: 'a secret of some length, for tests' } })
    const early = await harness.connect()
    early.write('POST /things HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 12\r\n\r\n{"name"')
    await until(() => harness.transport.requests === 1)
    early.write(':"x"}')
    expect(await early.until('requestId')).toMatch(/^HTTP\/1\.1 401 .*www-authenticate: bearer/is)
    early.write('GET /open HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    expect(await early.until('"open":true')).toContain('HTTP/1.1 200 OK')
  })
})

describe('access', () => {
  const secret = 'a secret of some length, for tests'

  it('needs an access token if authentication is configured, except for open routes', async () => {
    await open({ auth: { jwtSecret: secret } })
    const refused = await harness.fetch('/things/a/of/b', { headers: { Authorization: 'Bearer nonsense' } })
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect((await harness.fetch('/open')).status).toBe(200)
  })

  it('depends on the origin list', async () => {
    await open({ allowedOrigins: ['https://chat.example.com'] })
    const from = (origin: string) => harness.fetch('/things/a/of/b', { headers: { Origin: origin } })
    const allowed = await from('https://chat.example.com')
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([
      200,
      'https://chat.example.com',
    ])
    expect(allowed.headers.get('access-control-expose-headers')).toBe(
      'Location, Retry-After, ETag, X-Request-Id, Preference-Applied, Parley-Cursor, Idempotent-Replayed, WWW-Authenticate, X-Should-Retry, Parley-Notices, Mcp-Session-Id',
    )
    const foreign = await from('https://elsewhere.example.com')
    expect([foreign.status, foreign.headers.get('access-control-allow-origin')]).toEqual([403, null])
    expect(await foreign.json()).toMatchObject({
      code: 'origin_not_allowed',
      detail: 'The address of this page is not allowed. Add its origin to PARLEY_ORIGINS.',
    })
  })

  // nginx and Apache send their own Host by default. The chat page then got 403 `forbidden`, and told the person that
  // their role does not allow this.
  it('depends on the Host header that a proxy passes on, and the refusal says so, with access tokens too', async () => {
    await open({ auth: { jwtSecret: secret } })
    const ask = async (host: string) => {
      const client = await harness.connect()
      client.write(
        `POST /things HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://chat.example.com\r\nContent-Length: 0\r\n\r\n`,
      )
      return client.until('requestId')
    }
    const refused = await ask('parley:8080')
    expect(refused).toMatch(/^HTTP\/1\.1 403 /)
    expect(refused).toContain('"code":"origin_not_allowed"')
    expect(refused).toContain('the proxy must pass on the Host header')
    expect(await ask('chat.example.com')).toMatch(/^HTTP\/1\.1 401 /)
  })

  it('is announced in the answer to a preflight request', async () => {
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

  it('is denied for a foreign host name that resolves to this server, if all users are anonymous', async () => {
    await open()
    const rebound = await harness.connect()
    rebound.write('GET /things/a/of/b HTTP/1.1\r\nHost: evil.example.com\r\n\r\n')
    const answer = await rebound.until('requestId')
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect(answer).toContain('"code":"origin_not_allowed"')
    expect(answer).toContain('This host name is not allowed.')
  })
})

describe('limits', () => {
  it('apply to the request rate', async () => {
    await open({ requests: { perSecond: 1, burst: 3 } })
    const statuses: number[] = []
    for (let sent = 0; sent < 4; sent += 1) statuses.push((await harness.fetch('/things/a/of/b')).status)
    expect(statuses).toEqual([200, 200, 200, 429])
    const refused = await harness.fetch('/things/a/of/b')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(await refused.json()).toMatchObject({ code: 'rate_limited', retryable: true })
  })

  it('apply to the number of open requests of an address', async () => {
    await open({ connections: new ConnectionCount({ total: 10, perAddress: 1 }) })
    const client = new AbortController()
    const held = harness.fetch('/hang', { signal: client.signal })
    await until(() => harness.transport.requests === 1)
    const refused = await harness.fetch('/open')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10'])
    client.abort()
    await expect(held).rejects.toThrow('aborted')
    await until(() => harness.transport.requests === 0)
    expect((await harness.fetch('/open')).status).toBe(200)
  })

  it('close the connection on a second request before the first is answered', async () => {
    await open()
    const eager = await harness.connect()
    eager.write('GET /hang HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /open HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    await eager.closed
    expect(eager.text).toBe('')
    await until(() => harness.transport.requests === 0)
  })

  it('allow pipelined requests that are answered immediately', async () => {
    await open()
    const pipelined = await harness.connect()
    pipelined.write('GET /open HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(3))
    await until(() => pipelined.text.split('HTTP/1.1 200 OK').length === 4)
  })
})

/** Budgets for bodies. */
function shared(bytes: number) {
  const budget = new ByteBudget(bytes)
  return { budget, strangers: new ByteBudget(bytes, budget) }
}

async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** Polls a condition on every event-loop turn. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
