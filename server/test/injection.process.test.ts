// Injection through paths, headers, keys of bodies and frames, and claims of access tokens: a client cannot add a
// header to an answer, reach a prototype, or become another user.

import { connect } from 'node:net'
import { makeId } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { RawConnection } from '../transports/test/http-harness.ts'
import { TestClient } from '../transports/test/test-client.ts'

const SECRET = 'a secret that is long enough for HS256'
const INJECTED = 'Injected: yes'
/** Longer than the limit of a request's headers. */
const ENDLESS = 100_000

let server: ServerProcess
let eve = ''
let targets: readonly (readonly [method: string, path: string])[] = []
const clients: TestClient[] = []

beforeAll(async () => {
  server = await ServerProcess.start({
    PARLEY_JWT_SECRET: SECRET,
    PARLEY_REQUEST_RATE: '100000',
    PARLEY_REQUEST_BURST: '100000',
  })
  eve = await signed({ sub: 'eve' })
  const document = (await (await fetch(`${origin()}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, object>>
  }
  targets = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
  )
})
afterAll(async () => {
  for (const { socket } of clients) socket.terminate()
  await server.dispose()
})

function origin(): string {
  return `http://127.0.0.1:${server.port}`
}

function signed(claims: Record<string, unknown>): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(SECRET))
}

function ask(token: string, method: string, path: string, body?: string): Promise<Response> {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'Parley-Connection': 'mine' }
  return fetch(`${origin()}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
}

/** Sends exactly these bytes. @returns the head of the answer; '' if the connection was closed without one */
async function raw(method: string, path: string, headers: readonly string[] = []): Promise<string> {
  const socket = connect(server.port, '127.0.0.1')
  const connection = new RawConnection(socket)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    `Authorization: Bearer ${eve}`,
    'Content-Length: 0',
    ...headers,
  ]
  // After an incomplete line end the server waits for more, until the line is too long.
  const isOpen = headers.some((header) => ['\r', '\n', '\0'].some((end) => header.includes(end)))
  connection.write(`${lines.join('\r\n')}\r\n\r\n${isOpen ? 'x'.repeat(ENDLESS) : ''}`)
  const head = await connection.until('\r\n\r\n')
  socket.destroy()
  await connection.closed
  return head
}

/** The fault in the head of an answer, if any. A closed connection without an answer is correct. */
function faultOf(answer: string, what: string): string | undefined {
  const [head = ''] = answer.split('\r\n\r\n')
  const isInjected = head.split(/[\r\n]+/).some((line) => /^injected:/i.test(line))
  return isInjected || /^HTTP\/1\.1 5/.test(head) ? `${what}: ${head}` : undefined
}

async function faults(
  asked: readonly (readonly [method: string, path: string, headers?: readonly string[]])[],
): Promise<readonly string[]> {
  expect(asked.length).toBeGreaterThan(10)
  const found: string[] = []
  let answered = 0
  for (const [method, path, headers] of asked) {
    const answer = await raw(method, path, headers)
    if (answer.startsWith('HTTP/1.1 ')) answered += 1
    const fault = faultOf(answer, JSON.stringify([method, path, headers]))
    if (fault !== undefined) found.push(fault)
  }
  // Otherwise the test would prove nothing.
  expect(answered).toBeGreaterThan(asked.length / 3)
  return found
}

describe('an answer gets no header from its client', () => {
  it('through an id or a file name in the path', async () => {
    const ids = [
      `a%0d%0a${INJECTED.replace(' ', '%20')}`,
      `a%0a${INJECTED.replace(' ', '')}`,
      '%2e%2e%2f%2e%2e',
      '..%5c..%5c',
    ]
    const files = ['/', '/s/', '/assets/', '/inspect/'].flatMap((folder) =>
      ids.map((id) => ['GET', `${folder}${id}`] as const),
    )
    const routes = targets
      .filter(([, path]) => path.includes('{'))
      .flatMap(([method, path]) => ids.map((id) => [method, path.replace(/\{\w+\}/g, id)] as const))
    expect(await faults([...files, ...routes])).toEqual([])
  })

  it('through a header of the request', async () => {
    const values = [
      `a\r${INJECTED}`,
      `a\n${INJECTED}`,
      `a%0d%0a${INJECTED}`,
      `a\0${INJECTED}`,
      `a\u0085${INJECTED}`,
      `a\u2028${INJECTED}`,
    ]
    const names = [
      'X-Request-Id',
      'Last-Event-ID',
      'If-None-Match',
      'Idempotency-Key',
      'Parley-Connection',
      'Parley-Resume',
      'Prefer',
      'Accept',
      'Origin',
      'Access-Control-Request-Headers',
    ]
    const headers = names.flatMap((name) => values.map((value) => [`${name}: ${value}`]))
    const to = ['/v1/sessions/evil/events', '/v1/hello', '/jobs/r-s', '/openapi.json']
    const asked = headers.flatMap((header) => [
      ...to.map((path) => ['GET', path, header] as const),
      [
        'OPTIONS',
        '/v1/sessions/evil',
        ['Origin: http://a.example', 'Access-Control-Request-Method: GET', ...header],
      ] as const,
    ])
    expect(await faults(asked)).toEqual([])
  })

  it('and no file outside of the page’s folder', async () => {
    for (const path of ['/../package.json', '/assets/../../../package.json', '/%2e%2e/package.json', '//etc/passwd']) {
      expect(await raw('GET', path)).toMatch(/^HTTP\/1\.1 (404|400) /)
    }
  })
})

describe('a key cannot reach a prototype', () => {
  const session = makeId('s')
  const BODIES = [
    '{"__proto__":{"content":"hi"}}',
    '{"constructor":{"prototype":{"content":"hi"}}}',
    '{"__proto__":{"__proto__":{"content":"hi"}}}',
  ]

  it('in bodies', async () => {
    for (const body of [...BODIES, '{}']) {
      expect((await ask(eve, 'POST', `/v1/sessions/${session}/messages`, body)).status).toBe(400)
    }
    const state = '{"state":{"__proto__":{"typing":true},"constructor":1,"toString":2}}'
    await ask(eve, 'POST', `/v1/sessions/${session}/presence`, state)
    expect((await ask(eve, 'POST', `/v1/sessions/${session}/presence`, '{}')).status).toBe(400)
  })

  it.each(['json', 'msgpack'] as const)('in frames as %s', async (codec) => {
    const client = new TestClient(server.url, { codec, headers: { Authorization: `Bearer ${eve}` } })
    clients.push(client)
    await client.opened
    client.send({ type: 'hello' }, { type: 'attach', id: 'a', session })
    await client.next('live')
    const frame = JSON.parse(`{"type":"send","id":"m","session":"${session}","__proto__":{"content":"hi"}}`)
    client.send(frame)
    const refused = await client.next('error')
    expect(refused.code).toBe('invalid_frame')
  })
})

describe('an access token', () => {
  const NAMES = [
    '__proto__',
    'constructor',
    '../olga',
    'olga\r\nInjected: yes',
    'olga\0',
    '*',
    '>',
    'a.b.>',
    '%2e%2e',
    ' olga ',
    'OLGA',
    '💩\ud800',
    'anonymous',
  ]

  it('with any user name gives access to the user’s own sessions only', async () => {
    const olga = await signed({ sub: 'olga' })
    const hers = makeId('s')
    expect((await ask(olga, 'GET', `/v1/sessions/${hers}/events`)).status).toBe(200)
    const each = NAMES.map(async (name) => {
      const token = await signed({ sub: name })
      const own = makeId('s')
      expect((await ask(token, 'GET', `/v1/sessions/${own}/events`)).status).toBe(200)
      expect((await ask(token, 'GET', `/v1/sessions/${hers}/events`)).status).toBe(403)
      // A session is listed once it has a title.
      expect((await ask(token, 'PATCH', `/v1/sessions/${own}`, '{"title":"Mine"}')).status).toBe(204)
      const listed = async () => {
        const { sessions } = (await (await ask(token, 'GET', '/v1/sessions')).json()) as {
          readonly sessions: readonly { readonly session: string }[]
        }
        return sessions.map(({ session }) => session)
      }
      await expect.poll(listed).toEqual([own])
      const path = `/v1/sessions/${hers}/members/${encodeURIComponent(name.replace('\ud800', ''))}`
      expect((await ask(olga, 'PUT', path, '{"role":"owner"}')).status).toBe(404)
    })
    await Promise.all(each)
  })

  it('with nonsensical claims is refused', async () => {
    const none = [
      '{}',
      '{"sub":null}',
      '{"sub":["olga"]}',
      '{"sub":{"toString":"olga"}}',
      '{"__proto__":{"sub":"olga"}}',
      '{"constructor":{"prototype":{"sub":"olga"}}}',
      '{"sub":"olga","exp":"never"}',
      '{"sub":"olga","exp":-1}',
      '{"sub":"olga","nbf":1e300}',
      '{"sub":"olga","exp":null}',
    ]
    for (const claims of none) {
      const answer = await ask(await signed(JSON.parse(claims)), 'GET', '/v1/me')
      expect([claims, answer.status]).toEqual([claims, 401])
    }
    const huge = await ask(await signed({ sub: 'olga', groups: 'x'.repeat(ENDLESS) }), 'GET', '/v1/me')
    expect([400, 401, 431]).toContain(huge.status)
  })

  it('with a far expiry is valid, up to 2^53 milliseconds', async () => {
    const token = await signed({ sub: 'olga', exp: 8e12 })
    const client = new TestClient(server.url, { headers: { Authorization: `Bearer ${token}` } })
    clients.push(client)
    await client.opened
    client.send({ type: 'hello' }, { type: 'ping', nonce: 'still here' })
    await client.next('pong')
    const stream = await ask(token, 'GET', `/v1/sessions/${makeId('s')}/events?wait=0.1`)
    expect(stream.status).toBe(200)
    await stream.text()
    for (const exp of [1e15, 1e300]) {
      expect((await ask(await signed({ sub: 'olga', exp }), 'GET', '/v1/me')).status).toBe(401)
    }
  })

  it('may have any text as name', async () => {
    const name = '<script>1</script>\r\nInjected: yes'
    const token = await signed({ sub: 'named', name })
    const session = makeId('s')
    await ask(token, 'GET', `/v1/sessions/${session}/events`)
    const answer = await ask(token, 'GET', `/v1/sessions/${session}/members`)
    expect(answer.headers.get('injected')).toBeNull()
    expect(answer.headers.get('content-type')).toContain('application/json')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(await answer.json()).toMatchObject({ members: [{ user: 'named', name }] })
  })
})
