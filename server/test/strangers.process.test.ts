// Unauthorized clients at every route of a complete server with authentication: without an access token, with an
// invalid one, and with the valid one of a user who is not a member. They learn nothing and change nothing.
import { makeId } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'

const SECRET = 'a secret that is long enough for HS256'
const SESSION = makeId('s')
/** The second one is the code of the OpenAI API. */
const UNAUTHENTICATED = ['unauthenticated', 'invalid_api_key']
const STREAM = 'text/event-stream'

const THREAD = { threadId: SESSION, runId: 'r_1', messages: [{ id: 'm_1', role: 'user', content: 'hello' }] }

/** Valid bodies. A route with a body that is missing here fails the tests. */
const BODIES: Readonly<Record<string, unknown>> = {
  'PATCH /v1/sessions/{session}': { title: 'mine now' },
  'POST /v1/sessions/{session}/messages': { content: 'hello' },
  'POST /v1/sessions/{session}/cancel': {},
  'POST /v1/sessions/{session}/tools/{call}/claim': {},
  'POST /v1/sessions/{session}/tools/{call}/result': { output: 1 },
  'POST /v1/sessions/{session}/tools/{call}/decision': { decision: 'approve' },
  'POST /v1/sessions/{session}/tools/{call}/answer': { question: 'q_1', action: 'decline' },
  'PUT /v1/sessions/{session}/connections/{connection}': { tools: [] },
  'POST /v1/sessions/{session}/presence': { state: { typing: true } },
  'POST /v1/sessions/{session}/members': { token: 'guessed' },
  'PUT /v1/sessions/{session}/members/{user}': { role: 'owner' },
  'POST /v1/sessions/{session}/invites': { role: 'owner' },
  'POST /jobs': { session: SESSION, content: 'hello' },
  'POST /v1/chat/completions': { model: 'demo', messages: [{ role: 'user', content: 'hello' }] },
  'POST /v1/completions': { model: 'demo', prompt: 'hello' },
  'POST /v1/responses': { model: 'demo', input: 'hello' },
  'POST /v1/responses/input_tokens': { model: 'demo', input: 'hello' },
  'POST /v1/ag-ui': THREAD,
  'POST /v1/ag-ui/{agent}': THREAD,
  'POST /mcp': {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {} },
  },
}

interface Operation {
  readonly requestBody?: unknown
  readonly security?: readonly unknown[]
}

/** An error in any format: a problem, OpenAI's, JSON-RPC's. */
interface Refusal {
  readonly code?: string
  readonly error?: { readonly code: string; readonly data?: { readonly code: string } }
}

interface Target {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

let server: ServerProcess
let targets: readonly Target[] = []
let owner = ''
let job = ''
let before: unknown

beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_JWT_SECRET: SECRET, PARLEY_JWT_CLOCK_SKEW: '0' })
  owner = await tokenOf('olga')
  const document = (await (await fetch(`${origin()}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  }
  targets = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const name = `${method.toUpperCase()} ${path}`
      return { name, method: method.toUpperCase(), path, operation }
    }),
  )
  const created = await asOwner('POST', `/v1/sessions/${SESSION}/messages`, { content: '/demo count=5 rate=0 ttft=0' })
  job = ((await created.json()) as { readonly id: string }).id
  before = await snapshot()
})
afterAll(() => server.dispose())

function origin(): string {
  return `http://127.0.0.1:${server.port}`
}

function tokenOf(user: string, secondsLeft = 3_600): Promise<string> {
  return new SignJWT({ sub: user })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(Math.floor(Date.now() / 1000) + secondsLeft)
    .sign(new TextEncoder().encode(SECRET))
}

function asOwner(method: string, path: string, body?: unknown): Promise<Response> {
  return request(method, path, { Authorization: `Bearer ${owner}` }, body)
}

function request(method: string, path: string, headers: Record<string, string>, body: unknown): Promise<Response> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  return fetch(`${origin()}${path}`, { method, headers: { ...headers, 'Content-Type': 'application/json' }, ...sent })
}

async function snapshot(): Promise<unknown> {
  return (await asOwner('GET', `/v1/sessions/${SESSION}`)).json()
}

/** The path with real ids, which an attacker may have seen. */
function pathOf({ path }: Target): string {
  const real: Readonly<Record<string, string>> = {
    session: SESSION,
    id: path.startsWith('/v1/responses') ? `resp_${job}` : job,
    user: 'olga',
  }
  return path.replace(/\{(\w+)\}/g, (_, name: string) => real[name] ?? makeId('guess'))
}

async function errorsOf(at: readonly Target[], headers: Record<string, string>): Promise<Record<string, string>> {
  const codes: Record<string, string> = {}
  for (const target of at) {
    const answer = await request(target.method, pathOf(target), headers, BODIES[target.name])
    const text = await answer.text()
    const body = (text === '' || answer.ok ? {} : JSON.parse(text)) as Refusal
    codes[target.name] = body.code ?? body.error?.data?.code ?? body.error?.code ?? `not refused: ${answer.status}`
  }
  return codes
}

function expectAll(actual: Record<string, string>, expected: readonly string[]): void {
  expect(Object.keys(actual).length).toBeGreaterThan(5)
  expect(Object.entries(actual).filter(([, code]) => !expected.includes(code))).toEqual([])
}

const guarded = (): readonly Target[] =>
  targets.filter(({ path, operation }) => operation.security?.length !== 0 && path !== '/v1/ws')
/** Removing an unknown connection succeeds for every user. */
const LEAVE = 'DELETE /v1/sessions/{session}/connections/{connection}'
const withOwner = (): readonly Target[] =>
  guarded().filter(({ name }) => name !== LEAVE && /\{(session|id)\}|POST \/jobs/.test(name))

describe('an unauthorized client', () => {
  it('is tested with a valid request at every route', () => {
    const bodies = targets.filter(({ operation }) => operation.requestBody !== undefined).map(({ name }) => name)
    expect(bodies.sort()).toEqual(Object.keys(BODIES).sort())
  })

  it('without an access token is unauthenticated', async () => {
    expectAll(await errorsOf(guarded(), {}), UNAUTHENTICATED)
    expectAll(await errorsOf(guarded(), { Accept: STREAM }), UNAUTHENTICATED)
  })

  it('with an expired, forged or malformed access token is unauthenticated', async () => {
    const stale = await tokenOf('olga', -60)
    const forged = `${owner.split('.').slice(0, 2).join('.')}.${stale.split('.')[2]}`
    const none = `${btoa('{"alg":"none"}')}.${owner.split('.')[1]}.`
    for (const token of [stale, forged, none, 'x'.repeat(15_000), '.', '']) {
      expectAll(await errorsOf(guarded(), { Authorization: `Bearer ${token}` }), UNAUTHENTICATED)
    }
  })

  it('who is not a member cannot access a session or its jobs', async () => {
    const headers = { Authorization: `Bearer ${await tokenOf('mallory')}`, 'Parley-Connection': 'guessed' }
    for (const accept of ['application/json', STREAM, 'application/x-ndjson']) {
      const codes = await errorsOf(withOwner(), { ...headers, Accept: accept })
      // A route without this form answers not_acceptable before it checks access.
      const forms = accept === 'application/json' ? [] : ['not_acceptable']
      expectAll(codes, ['forbidden', 'invite_invalid', 'job_not_found', 'run_not_found', ...forms])
    }
    const body = { model: 'demo', input: 'and then?', previous_response_id: `resp_${job}` }
    const answer = await request('POST', '/v1/responses', headers, body)
    expect(((await answer.json()) as Refusal).error).toMatchObject({ param: 'previous_response_id' })
  })

  it('has changed nothing', async () => {
    expect(await snapshot()).toEqual(before)
    const { members } = (await (await asOwner('GET', `/v1/sessions/${SESSION}/members`)).json()) as {
      readonly members: readonly unknown[]
    }
    expect(members).toEqual([expect.objectContaining({ user: 'olga', role: 'owner' })])
  })
})

describe('an access token that expires', () => {
  it('ends every open stream and pending request, on every transport', async () => {
    const quiet = `/v1/sessions/${makeId('s')}/events`
    const { cursor } = (await (await asOwner('GET', quiet)).json()) as { readonly cursor: string }
    const long = '/demo count=900 rate=5 ttft=0'
    const created = await asOwner('POST', '/jobs', { session: makeId('s'), content: long })
    const { id, session } = (await created.json()) as { readonly id: string; readonly session: string }
    // Enough time to start all requests before it expires.
    const until = Math.floor(Date.now() / 1000) + 5
    const token = await tokenOf('olga', 5)
    const ask = async (method: string, path: string, accept: string, body?: unknown): Promise<string> => {
      const headers = { Authorization: `Bearer ${token}`, Accept: accept }
      const answer = await request(method, path, headers, body)
      // The server cuts streams.
      const text = await answer.text().catch((error: Error) => error.message)
      return `${answer.status} ${answer.status === 200 ? text : ''}`.trim()
    }
    const JSON_FORM = 'application/json'
    const events = `/v1/sessions/${session}/events`
    const input = { model: 'demo', input: long }
    const messages = { model: 'demo', messages: [{ role: 'user', content: long }] }
    const requests = {
      stream: ask('GET', events, STREAM),
      lines: ask('GET', events, 'application/x-ndjson'),
      job: ask('GET', `/jobs/${id}?wait=60`, JSON_FORM),
      poll: ask('GET', `${quiet}?wait=60&after=${cursor}`, JSON_FORM),
      answer: ask('POST', `/v1/sessions/${makeId('s')}/messages`, JSON_FORM, { content: long }),
      answerStream: ask('POST', `/v1/sessions/${makeId('s')}/messages`, STREAM, { content: long }),
      chat: ask('POST', '/v1/chat/completions', JSON_FORM, messages),
      chatStream: ask('POST', '/v1/chat/completions', STREAM, { ...messages, stream: true }),
      response: ask('POST', '/v1/responses', JSON_FORM, input),
      responseStream: ask('POST', '/v1/responses', STREAM, { ...input, stream: true }),
      responseAgain: ask('GET', `/v1/responses/resp_${id}?stream=true`, STREAM),
    }
    const all = await Promise.all(Object.entries(requests).map(async ([what, answer]) => [what, await answer]))
    expect(Date.now()).toBeGreaterThanOrEqual(until * 1000 - 1)
    const cut = '200 terminated'
    expect(Object.fromEntries(all)).toEqual({
      stream: cut,
      lines: cut,
      job: '401',
      poll: '401',
      answer: '401',
      answerStream: cut,
      chat: '401',
      chatStream: cut,
      response: '401',
      responseStream: cut,
      responseAgain: cut,
    })
  })
})
