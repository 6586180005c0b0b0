// Every refusal of the MCP endpoint: its HTTP status and its JSON-RPC code, in both eras. The official client decides by them
// which era a server speaks, and whether it tries again.
import { request as httpRequest } from 'node:http'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, type Json, McpHarness, MODERN, meta, request } from './test/mcp-harness.ts'

let h: McpHarness
beforeAll(async () => {
  h = await McpHarness.open()
})
afterAll(() => h.close())

const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } }
const ASK = { name: 'ask', arguments: { message: '/demo count=3 rate=0' } }

/** The status and the code of the last message; a result is `result`, or `isError` if its tool failed. */
function outcome({ status, messages }: Answer): [number, unknown] {
  const { error, result } = (messages.at(-1) ?? {}) as { error?: { code: number }; result?: { isError?: boolean } }
  return [status, error?.code ?? (result === undefined ? undefined : result.isError === true ? 'isError' : 'result')]
}

const without = (key: string): Json => ({ ...meta(), [`io.modelcontextprotocol/${key}`]: undefined })

describe('a modern request', () => {
  const NONE = { 'MCP-Protocol-Version': MODERN }

  it.each<[string, number, unknown, () => Promise<Answer>]>([
    ['asks', 200, 'result', () => h.modern('tools/call', ASK)],
    ['lists', 200, 'result', () => h.modern('tools/list')],
    ['discovers', 200, 'result', () => h.modern('server/discover')],
    [
      'has no version header',
      400,
      -32020,
      () => h.send(request('tools/list', { _meta: meta() }), { 'Mcp-Method': 'tools/list' }),
    ],
    [
      'has another version header',
      400,
      -32020,
      () => h.modern('tools/list', {}, { 'MCP-Protocol-Version': '2025-11-25' }),
    ],
    ['has the version in the header only', 400, -32602, () => h.modern('tools/list', { _meta: {} })],
    [
      'has a later version in the header only',
      400,
      -32602,
      () => h.send(request('tools/list'), { 'MCP-Protocol-Version': '2027-01-01' }),
    ],
    ['initializes', 400, -32020, () => h.send(request('initialize'), NONE)],
    ['has no Mcp-Method', 400, -32020, () => h.send(request('tools/list', { _meta: meta() }), NONE)],
    ['has another Mcp-Method', 400, -32020, () => h.modern('tools/list', {}, { 'Mcp-Method': 'tools/call' })],
    [
      'has no Mcp-Name',
      400,
      -32020,
      () => h.send(request('tools/call', { ...ASK, _meta: meta() }), { ...NONE, 'Mcp-Method': 'tools/call' }),
    ],
    ['has another Mcp-Name', 400, -32020, () => h.modern('tools/call', ASK, { 'Mcp-Name': 'ask_writer' })],
    ['has Mcp-Name in base64', 200, 'result', () => h.modern('tools/call', ASK, { 'Mcp-Name': '=?base64?YXNr?=' })],
    ['has no capabilities', 400, -32602, () => h.modern('tools/list', { _meta: without('clientCapabilities') })],
    [
      'has an unknown version',
      400,
      -32022,
      () =>
        h.modern(
          'tools/list',
          { _meta: meta({ 'io.modelcontextprotocol/protocolVersion': '2099-01-01' }) },
          { 'MCP-Protocol-Version': '2099-01-01' },
        ),
    ],
    ['has an unknown method', 404, -32601, () => h.modern('foo/bar')],
    ['has a legacy method', 404, -32601, () => h.modern('ping')],
    ['names an unknown tool', 200, -32602, () => h.modern('tools/call', { name: 'zzz', arguments: {} })],
    [
      'has arguments that do not fit',
      200,
      'isError',
      () => h.modern('tools/call', { name: 'ask', arguments: { message: 5 } }),
    ],
    ['reads an unknown resource', 200, -32602, () => h.modern('resources/read', { uri: 'parley://sessions/none' })],
    ['reads another resource', 200, -32602, () => h.modern('resources/read', { uri: 'file:///etc/passwd' })],
    ['knows no tasks', 400, -32021, () => h.modern('tasks/get', { taskId: 'run_1-s' })],
    ['names an unknown task', 200, -32602, () => h.modern('tasks/get', { taskId: 'run_1-s', _meta: meta({}, TASKS) })],
    ['names no task', 200, -32602, () => h.modern('tasks/cancel', { _meta: meta({}, TASKS) })],
    ['has a state of its own', 200, -32602, () => h.modern('tools/call', { ...ASK, requestState: 'e30.AAAA' })],
    ['accepts JSON only', 200, 'result', () => h.modern('tools/call', ASK, { Accept: 'application/json' })],
    ['has another Content-Type', 415, -32000, () => h.modern('tools/list', {}, { 'Content-Type': 'text/plain' })],
    ['is not JSON', 400, -32700, () => h.send('{', NONE)],
    ['is a batch', 400, -32600, () => h.send([request('tools/list', { _meta: meta() })], NONE)],
    ['has the id null', 400, -32600, () => h.send(request('tools/list', { _meta: meta() }, null), NONE)],
    ['is not JSON-RPC', 400, -32600, () => h.send({ id: 1, method: 'tools/list' }, NONE)],
    ['is a response', 400, -32600, () => h.send({ jsonrpc: '2.0', id: 1, result: {} }, NONE)],
    [
      'is a notification',
      202,
      undefined,
      () =>
        h.send(
          { jsonrpc: '2.0', method: 'notifications/x', params: { _meta: meta() } },
          { ...NONE, 'Mcp-Method': 'notifications/x' },
        ),
    ],
    ['is a GET', 405, -32000, () => h.send(undefined, NONE, 'GET')],
    ['is a DELETE', 405, -32000, () => h.send(undefined, NONE, 'DELETE')],
    ['is a PUT', 405, -32000, () => h.send('{}', NONE, 'PUT')],
    ['is too large', 413, -32000, () => h.send(`{"x":"${'x'.repeat(1100000)}"}`, NONE)],
    ['comes from a foreign page', 403, -32000, () => h.modern('tools/list', {}, { Origin: 'https://evil.example' })],
  ])('that %s gets %i and %s', async (_, status, code, send) => {
    expect(outcome(await send())).toEqual([status, code])
  })

  it('has an answer of its own to each id, version and unknown host', async () => {
    const [message] = (await h.modern('foo/bar')).messages
    expect(message).toMatchObject({ jsonrpc: '2.0', id: 1 })
    const unknown = await h.modern(
      'tools/list',
      { _meta: meta({ 'io.modelcontextprotocol/protocolVersion': '2099-01-01' }) },
      { 'MCP-Protocol-Version': '2099-01-01' },
    )
    expect(unknown.messages).toMatchObject([{ error: { data: { supported: [MODERN], requested: '2099-01-01' } } }])
    expect((await h.send(undefined, NONE, 'GET')).headers.get('allow')).toBe('POST')
    for (const method of ['server/discover', 'tools/list', 'resources/list', 'resources/templates/list']) {
      const hints = { ttlMs: 60_000, cacheScope: 'private', resultType: 'complete' }
      expect((await h.modern(method)).messages).toMatchObject([{ result: hints }])
    }
    // DNS rebinding: the page's own name resolves to this machine, and its browser sends no Origin.
    const status = await new Promise((resolve, reject) => {
      const options = { method: 'POST', headers: { Host: 'evil.example', 'Content-Length': '0' } }
      httpRequest(h.url, options, (answer) => resolve(answer.statusCode))
        .on('error', reject)
        .end()
    })
    expect(status).toBe(403)
  })

  it('is served without a session, whatever session it names', async () => {
    const answer = await h.modern('tools/list', {}, { 'Mcp-Session-Id': 'unknown' })
    expect(outcome(answer)).toEqual([200, 'result'])
    expect(answer.headers.has('mcp-session-id')).toBe(false)
  })
})

describe('a legacy request', () => {
  const initialize = (version: string) =>
    request('initialize', { protocolVersion: version, capabilities: {}, clientInfo: { name: 't', version: '1' } })

  it.each<[string, number, unknown, (session: Record<string, string>) => Promise<Answer>]>([
    ['asks', 200, 'result', (s) => h.send(request('tools/call', ASK, 'a'), s)],
    ['lists', 200, 'result', (s) => h.send(request('tools/list'), s)],
    ['pings', 200, 'result', (s) => h.send(request('ping'), s)],
    [
      'has no version header',
      200,
      'result',
      ({ 'Mcp-Session-Id': id = '' }) => h.send(request('ping'), { 'Mcp-Session-Id': id }),
    ],
    ['has no session', 400, -32000, () => h.send(request('tools/list'))],
    [
      'has an unknown session',
      404,
      -32001,
      (s) => h.send(request('tools/list'), { ...s, 'Mcp-Session-Id': 'e30.AAAA' }),
    ],
    [
      'has a changed session',
      404,
      -32001,
      (s) => h.send(request('tools/list'), { ...s, 'Mcp-Session-Id': `A${s['Mcp-Session-Id']}` }),
    ],
    ['initializes again', 400, -32600, (s) => h.send(initialize('2025-11-25'), s)],
    ['initializes with an unknown version', 200, 'result', () => h.send(initialize('1999-01-01'))],
    [
      'has an unknown version header',
      400,
      -32000,
      (s) => h.send(request('ping'), { ...s, 'MCP-Protocol-Version': '1999-01-01' }),
    ],
    ['has an unknown method', 200, -32601, (s) => h.send(request('foo/bar'), s)],
    ['names an unknown tool', 200, -32602, (s) => h.send(request('tools/call', { name: 'zzz' }), s)],
    ['has arguments that do not fit', 200, 'isError', (s) => h.send(request('tools/call', { name: 'ask' }), s)],
    [
      'reads an unknown resource',
      200,
      -32002,
      (s) => h.send(request('resources/read', { uri: 'parley://sessions/none' }), s),
    ],
    ['accepts JSON only', 406, -32000, (s) => h.send(request('tools/list'), { ...s, Accept: 'application/json' })],
    ['is a notification', 202, undefined, (s) => h.send({ jsonrpc: '2.0', method: 'notifications/initialized' }, s)],
    ['is a response to nothing', 202, undefined, (s) => h.send({ jsonrpc: '2.0', id: 'x.s.c', result: {} }, s)],
    [
      'answers a question that nobody asks',
      202,
      undefined,
      (s) => h.send({ jsonrpc: '2.0', id: 'ask.s.c.q', result: { action: 'cancel' } }, s),
    ],
    ['is a malformed answer', 400, -32602, (s) => h.send({ jsonrpc: '2.0', id: 'ask.s.c', result: {} }, s)],
    ['is a batch', 400, -32600, (s) => h.send([request('ping')], s)],
    ['is a GET without an event', 405, -32000, (s) => h.send(undefined, s, 'GET')],
    [
      'is a GET with an unknown event',
      400,
      -32000,
      (s) => h.send(undefined, { ...s, 'Last-Event-ID': 'nothing' }, 'GET'),
    ],
    // NATS would close the connection of the node for a subject of this length.
    [
      'is a GET with an event of an impossible session',
      400,
      -32000,
      (s) => {
        const origin = Buffer.from(JSON.stringify([1, null, 'x'.repeat(5_000), 'run_1'])).toString('base64url')
        return h.send(undefined, { ...s, 'Last-Event-ID': `${origin}.e1.1` }, 'GET')
      },
    ],
    [
      'is a GET that accepts JSON only',
      406,
      -32000,
      (s) => h.send(undefined, { ...s, 'Last-Event-ID': 'nothing', Accept: 'application/json' }, 'GET'),
    ],
    [
      'is a GET with an unknown session',
      404,
      -32001,
      () => h.send(undefined, { 'Mcp-Session-Id': 'e30.AAAA', 'Last-Event-ID': 'x.y' }, 'GET'),
    ],
    ['is a DELETE', 405, -32000, (s) => h.send(undefined, s, 'DELETE')],
  ])('that %s gets %i and %s', async (_, status, code, send) => {
    expect(outcome(await send(await h.session()))).toEqual([status, code])
  })

  it('negotiates a version', async () => {
    for (const [asked, version] of [
      ['2025-06-18', '2025-06-18'],
      ['2025-03-26', '2025-03-26'],
      ['1999-01-01', '2025-11-25'],
      ['2026-07-28', '2025-11-25'],
    ] as const) {
      expect((await h.send(initialize(asked))).messages).toMatchObject([{ result: { protocolVersion: version } }])
    }
  })
})

describe('with access tokens', () => {
  const SECRET = 'a secret that is long enough for HS256'
  const key = new TextEncoder().encode(SECRET)
  const token = async (sub: string, more: Json = {}) => {
    const jwt = await new SignJWT({ sub, ...more }).setProtectedHeader({ alg: 'HS256' }).sign(key)
    return { Authorization: `Bearer ${jwt}` }
  }

  it('refuses a request without one, and keeps the sessions of users apart', async () => {
    const server = await McpHarness.open({ PARLEY_JWT_SECRET: SECRET })
    const refused = await server.modern('tools/list')
    expect(outcome(refused)).toEqual([401, -32000])
    expect(refused.headers.get('www-authenticate')).toBe('Bearer')
    expect((await fetch(`${server.server.url}/.well-known/oauth-protected-resource/mcp`)).status).toBe(404)
    const [ann, bob] = [await token('ann'), await token('bob')]
    const opened = await server.send(request('initialize', { protocolVersion: '2025-11-25', capabilities: {} }), ann)
    const session = { 'Mcp-Session-Id': opened.headers.get('mcp-session-id') ?? '' }
    expect(outcome(await server.send(request('ping'), { ...ann, ...session }))).toEqual([200, 'result'])
    expect(outcome(await server.send(request('ping'), { ...bob, ...session }))).toEqual([404, -32001])
    // A session of Parley that is not open to Bob is a result that the model can read.
    const asks = { name: 'ask', arguments: { message: '/demo count=1 rate=0', session: 'anns', keep: true } }
    const task = await server.modern('tools/call', { ...asks, _meta: meta({}, TASKS) }, ann)
    const { taskId } = (task.messages[0] as { result: { taskId: string } }).result
    expect(outcome(await server.modern('tools/call', asks, bob))).toEqual([200, 'isError'])
    const viewer = await token('ann', { parley_role: 'viewer' })
    expect(outcome(await server.modern('tools/call', asks, viewer))).toEqual([200, 'isError'])
    for (const [method, params, name] of [
      ['tasks/get', { taskId, _meta: meta({}, TASKS) }, taskId],
      ['resources/read', { uri: 'parley://sessions/anns' }, 'parley://sessions/anns'],
    ] as const) {
      expect(outcome(await server.modern(method, params, { ...ann, 'Mcp-Name': name }))).toEqual([200, 'result'])
      expect(outcome(await server.modern(method, params, { ...bob, 'Mcp-Name': name }))).toEqual([200, -32602])
    }
    await server.close()
  })

  it('says where to get one, and takes only those for this endpoint', async () => {
    const url = 'https://chat.example.com/mcp'
    const issuer = 'https://login.example.com'
    const server = await McpHarness.open({
      PARLEY_JWT_SECRET: SECRET,
      PARLEY_JWT_ISSUER: issuer,
      PARLEY_JWT_AUDIENCE: 'chat',
      PARLEY_MCP_URL: url,
    })
    const refused = await server.modern('tools/list')
    const metadata = 'https://chat.example.com/.well-known/oauth-protected-resource/mcp'
    expect(refused.headers.get('www-authenticate')).toBe(`Bearer resource_metadata="${metadata}"`)
    const answer = await fetch(`${server.server.url}/.well-known/oauth-protected-resource/mcp`)
    expect(await answer.json()).toMatchObject({ resource: url, authorization_servers: [issuer] })
    for (const [aud, status, elsewhere] of [
      [url, 200, 401],
      [['other', url], 200, 401],
      ['chat', 401, 200],
    ] as const) {
      const headers = await token('ann', { iss: issuer, aud })
      expect((await server.modern('tools/list', {}, headers)).status).toBe(status)
      expect((await fetch(`${server.server.url}/v1/me`, { headers })).status).toBe(elsewhere)
    }
    await server.close()
  })

  it('publishes the metadata under the path of its public URL as well', async () => {
    const url = 'https://chat.example.com/parley/mcp'
    const server = await McpHarness.open({
      PARLEY_JWT_SECRET: SECRET,
      PARLEY_JWT_ISSUER: 'https://login.example.com',
      PARLEY_JWT_AUDIENCE: 'chat',
      PARLEY_MCP_URL: url,
    })
    const path = '/.well-known/oauth-protected-resource'
    const metadata = `Bearer resource_metadata="https://chat.example.com${path}/parley/mcp"`
    expect((await server.modern('tools/list')).headers.get('www-authenticate')).toBe(metadata)
    for (const each of ['', '/mcp', '/parley/mcp']) {
      expect(await (await fetch(server.server.url + path + each)).json()).toMatchObject({ resource: url })
    }
    const document = (await (await fetch(`${server.server.url}/openapi.json`)).json()) as { paths: object }
    expect(Object.keys(document.paths).filter((each) => each.startsWith(path))).toEqual([`${path}/mcp`, path])
    await server.close()
  })
})

it('a request beyond the rate gets 429, and its code', async () => {
  const server = await McpHarness.open({ PARLEY_ADDRESS_RATE: '1', PARLEY_ADDRESS_BURST: '1' })
  const answers = await Promise.all(Array.from({ length: 20 }, () => server.modern('tools/list')))
  expect(answers.map(outcome)).toContainEqual([200, 'result'])
  const refused = answers.find(({ status }) => status === 429)
  expect(refused?.messages).toMatchObject([{ id: null, error: { code: -32000, data: { code: 'rate_limited' } } }])
  await server.close()
})
