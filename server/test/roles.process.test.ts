// Roles at every route of two complete nodes: one node changes them, and the other one enforces them. Each route of
// the OpenAPI document has a rule here, which is tested with a removed member and with each role.

import { once } from 'node:events'
import { type ClientFrame, makeId, may, type Permission, ROLES, type ServerFrame } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import WebSocket from 'ws'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'

/** `anybody`: any user with an access token, for their own data; `open`: public; `joined`: members keep their role. */
type Rule = Permission | 'anybody' | 'open' | 'joined'
type Asker = 'editor' | 'approver' | 'viewer' | 'removed'

interface Row {
  readonly rule: Rule
  readonly body?: unknown
  /** The error code for a removed member; default `forbidden`. */
  readonly unknown?: string
  /** Founds a new session. */
  readonly founds?: true
}

const SECRET = 'a secret that is long enough for HS256'
const SESSION = makeId('s')
const WORDS = { content: '/demo count=1 rate=0 ttft=0' }
const AT = '/v1/sessions/{session}'
const JOB = { unknown: 'job_not_found' }
const RESPONSE = { unknown: 'run_not_found' }
/** For conditions without an event. */
const WAIT = { timeout: 15_000, interval: 20 }

const THREAD = {
  threadId: SESSION,
  runId: 'run_ag_ui',
  messages: [{ id: 'm_1', role: 'user', content: WORDS.content }],
}

/** A route without a rule fails the tests. */
const RULES: Readonly<Record<string, Row>> = {
  'GET /v1/hello': { rule: 'open' },
  'GET /v1/me': { rule: 'anybody' },
  'GET /openapi.json': { rule: 'open' },
  'GET /asyncapi.json': { rule: 'open' },
  'GET /healthz': { rule: 'open' },
  'GET /readyz': { rule: 'open' },
  'GET /metrics': { rule: 'open' },
  'GET /v1/ws': { rule: 'anybody' },
  'GET /v1/models': { rule: 'anybody' },
  'GET /v1/models/{model}': { rule: 'anybody' },
  'GET /v1/sessions': { rule: 'anybody' },
  [`GET ${AT}`]: { rule: 'read' },
  [`GET ${AT}/events`]: { rule: 'read' },
  [`POST ${AT}/messages`]: { rule: 'send', body: WORDS },
  [`POST ${AT}/cancel`]: { rule: 'send', body: {} },
  [`POST ${AT}/tools/{call}/claim`]: { rule: 'run', body: {} },
  [`POST ${AT}/tools/{call}/result`]: { rule: 'run', body: { output: 1 } },
  [`POST ${AT}/tools/{call}/decision`]: { rule: 'decide', body: { decision: 'approve' } },
  [`POST ${AT}/tools/{call}/answer`]: { rule: 'decide', body: { question: 'q_1', action: 'decline' } },
  [`POST ${AT}/presence`]: { rule: 'read', body: { state: { typing: true } } },
  [`PUT ${AT}/connections/{connection}`]: {
    rule: 'run',
    body: { tools: [{ name: 'mine', description: '', input: {} }] },
  },
  // Removing an unknown connection succeeds for every user.
  [`DELETE ${AT}/connections/{connection}`]: { rule: 'anybody' },
  [`GET ${AT}/members`]: { rule: 'read' },
  [`GET ${AT}/readers`]: { rule: 'manage' },
  [`POST ${AT}/members`]: { rule: 'joined', unknown: 'invite_invalid' },
  [`PUT ${AT}/members/{user}`]: { rule: 'manage', body: { role: 'viewer' } },
  [`DELETE ${AT}/members/{user}`]: { rule: 'manage' },
  [`POST ${AT}/invites`]: { rule: 'manage', body: { role: 'owner' } },
  [`DELETE ${AT}/invites/{invite}`]: { rule: 'manage' },
  [`PATCH ${AT}`]: { rule: 'manage', body: { title: 'mine now' } },
  [`DELETE ${AT}`]: { rule: 'manage' },
  'POST /jobs': { rule: 'send', body: { ...WORDS, session: SESSION } },
  'GET /jobs/{id}': { rule: 'read', ...JOB },
  'DELETE /jobs/{id}': { rule: 'send', ...JOB },
  'POST /v1/chat/completions': {
    rule: 'anybody',
    founds: true,
    body: { model: 'demo', messages: [{ role: 'user', content: WORDS.content }] },
  },
  'POST /v1/completions': { rule: 'anybody', founds: true, body: { model: 'demo', prompt: WORDS.content } },
  'POST /v1/responses': { rule: 'anybody', founds: true, body: { model: 'demo', input: WORDS.content } },
  'GET /v1/responses': { rule: 'anybody' },
  'GET /v1/responses/{id}': { rule: 'read', ...RESPONSE },
  'DELETE /v1/responses/{id}': { rule: 'manage', ...RESPONSE },
  'POST /v1/responses/input_tokens': { rule: 'anybody', body: { model: 'demo', input: WORDS.content } },
  'GET /v1/responses/{id}/input_items': { rule: 'read', ...RESPONSE },
  'POST /v1/responses/{id}/cancel': { rule: 'send', ...RESPONSE },
  'POST /v1/ag-ui': { rule: 'send', body: THREAD },
  // No agent is configured, and agents have no secrets.
  'POST /v1/ag-ui/{agent}': { rule: 'anybody', body: THREAD },
  // A forbidden call has a result that says so: server/transports/mcp/mcp-statuses.test.ts.
  'POST /mcp': { rule: 'anybody', body: { jsonrpc: '2.0', id: 1, method: 'ping' } },
  'GET /mcp': { rule: 'anybody' },
  'DELETE /mcp': { rule: 'anybody' },
  'GET /.well-known/oauth-protected-resource/mcp': { rule: 'open' },
  'GET /.well-known/oauth-protected-resource': { rule: 'open' },
}

let nats: NatsServer
/** The owner uses `home`; all other users use `away`. */
let home: ServerProcess
let away: ServerProcess
let names: readonly string[] = []
let job = ''
/** Role → an invitation, which can be used several times. */
const invites = new Map<string, { readonly token: string; readonly invite: string }>()
const tokens = new Map<string, string>()
const sockets: WebSocket[] = []
const abort = new AbortController()

beforeAll(async () => {
  nats = await NatsServer.start()
  const settings = { PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: 'roles', PARLEY_JWT_SECRET: SECRET }
  const nodes = await Promise.all(
    ['home', 'away'].map((node) => ServerProcess.start({ ...settings, PARLEY_NODE: node })),
  )
  ;[home, away] = nodes as [ServerProcess, ServerProcess]
  const document = (await (await fetch(`${originOf(home)}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, object>>
  }
  names = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  for (const user of ['olga', 'editor', 'approver', 'viewer', 'removed', 'guest']) {
    tokens.set(user, await signed({ sub: user }))
  }
  for (const role of ['viewer', 'approver'])
    tokens.set(`olga-as-${role}`, await signed({ sub: 'olga', parley_role: role }))
  // The run lasts as long as the tests.
  const created = await ask(home, 'olga', 'POST', '/jobs', {
    session: SESSION,
    content: '/demo count=900 rate=5 ttft=0',
  })
  job = ((await created.json()) as { readonly id: string }).id
  for (const role of ROLES) {
    invites.set(role, await (await ask(home, 'olga', 'POST', `/v1/sessions/${SESSION}/invites`, { role })).json())
  }
  for (const user of ['editor', 'approver', 'viewer']) await join(user, user)
  await join('removed', 'editor')
  await remove('removed')
})
afterAll(async () => {
  abort.abort()
  for (const socket of sockets) socket.terminate()
  await Promise.all([home.dispose(), away.dispose()])
  await nats.dispose()
})

function signed(claims: Readonly<Record<string, string>>): Promise<string> {
  const token = new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h')
  return token.sign(new TextEncoder().encode(SECRET))
}

function originOf(node: ServerProcess): string {
  return `http://127.0.0.1:${node.port}`
}

function ask(
  node: ServerProcess,
  user: string,
  method: string,
  path: string,
  body?: unknown,
  accept = 'application/json',
): Promise<Response> {
  const headers = {
    Authorization: `Bearer ${tokens.get(user)}`,
    Accept: accept,
    'Content-Type': 'application/json',
    'Parley-Connection': `of-${user}`,
  }
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  return fetch(`${originOf(node)}${path}`, { method, headers, ...sent, signal: abort.signal })
}

async function join(user: string, role: string): Promise<void> {
  const body = { token: invites.get(role)?.token }
  expect((await ask(home, user, 'POST', `/v1/sessions/${SESSION}/members`, body)).status).toBe(200)
  await appliedAway(user, 200)
}

async function remove(user: string): Promise<void> {
  const answer = await ask(home, 'olga', 'DELETE', `/v1/sessions/${SESSION}/members/${user}`)
  expect(answer.status).toBe(204)
  await appliedAway(user, 403)
}

/** Waits until the other node has applied the change, which it gets from the log. */
async function appliedAway(user: string, status: number): Promise<void> {
  await vi.waitFor(async () => {
    expect((await ask(away, user, 'GET', `/v1/sessions/${SESSION}`)).status).toBe(status)
  }, WAIT)
}

function give(user: string, role: string): Promise<Response> {
  return ask(home, 'olga', 'PUT', `/v1/sessions/${SESSION}/members/${user}`, { role })
}

/** The path with the real ids, which all users know. */
function pathOf(name: string): string {
  const path = name.slice(name.indexOf(' ') + 1)
  const real: Readonly<Record<string, string>> = {
    session: SESSION,
    id: path.startsWith('/v1/responses') ? `resp_${job}` : job,
    user: 'olga',
    invite: invites.get('viewer')?.invite ?? '',
    model: 'demo',
  }
  return path.replace(/\{(\w+)\}/g, (_, key: string) => real[key] ?? 'guessed')
}

async function codeOf(answer: Response): Promise<string> {
  const text = await answer.text()
  if (answer.ok) return 'ok'
  const body = JSON.parse(text) as { readonly code?: string; readonly error?: { readonly code: string } }
  return body.code ?? body.error?.code ?? String(answer.status)
}

/** The expected error code; undefined if the request is allowed. @param limited by the token, not in the session */
function expectedError(
  asker: Asker,
  { rule, unknown = 'forbidden', founds }: Row,
  limited: boolean,
): string | undefined {
  if (limited && (rule === 'joined' || founds)) return 'forbidden'
  if (rule === 'open' || rule === 'anybody') return undefined
  if (asker === 'removed') return unknown
  return rule === 'joined' || may(asker, rule) ? undefined : 'forbidden'
}

/** @param user whose token is used; `asker` by default */
async function answersTo(
  asker: Asker,
  accept?: string,
  wanted?: (row: Row) => boolean,
  user: string = asker,
): Promise<string[]> {
  const wrong: string[] = []
  // The active run is cancelled first, so that no answer waits for its end.
  const inOrder = names.filter((name) => name !== 'GET /v1/ws').sort((a, b) => rank(a) - rank(b))
  for (const name of inOrder) {
    const row = RULES[name]
    if (row === undefined || wanted?.(row) === false) continue
    const body = row.rule === 'joined' ? { token: invites.get('editor')?.token } : row.body
    const [method = ''] = name.split(' ')
    const code = await codeOf(await ask(away, user, method, pathOf(name), body, accept))
    const expected = expectedError(asker, row, user !== asker)
    // An allowed request may fail for other reasons, for example because something does not exist.
    const isRight = expected === undefined ? !['forbidden', 'unauthenticated'].includes(code) : code === expected
    if (!isRight) wrong.push(`${name}: ${code} instead of ${expected ?? 'an answer'}`)
  }
  return wrong
}

function rank(name: string): number {
  return name === `POST ${AT}/cancel` ? 0 : 1
}

async function sessionState(): Promise<unknown> {
  const at = `/v1/sessions/${SESSION}`
  const { title, messages } = (await (await ask(home, 'olga', 'GET', at)).json()) as Record<string, unknown[]>
  const members = (await (await ask(home, 'olga', 'GET', `${at}/members`)).json()) as unknown
  return { title, messages: messages?.length, members }
}

class SocketClient {
  readonly frames: ServerFrame[] = []
  readonly #socket: WebSocket

  constructor(user: string) {
    const headers = { Authorization: `Bearer ${tokens.get(user)}` }
    this.#socket = new WebSocket(away.url, 'parley.v1.json', { headers })
    sockets.push(this.#socket)
    this.#socket.on('message', (data: Buffer) => {
      for (const frame of [JSON.parse(data.toString())].flat()) this.frames.push(frame as ServerFrame)
    })
  }

  async attach(): Promise<void> {
    await once(this.#socket, 'open')
    this.send({ type: 'hello' })
    this.send({ type: 'attach', id: 'a', session: SESSION })
    await this.has((frame) => frame.type === 'live')
  }

  send(frame: ClientFrame): void {
    this.#socket.send(JSON.stringify(frame))
  }

  has(is: (frame: ServerFrame) => boolean): Promise<void> {
    return expect.poll(() => this.frames.some(is), WAIT).toBe(true)
  }

  refuses(id: string): Promise<void> {
    return this.has((frame) => frame.type === 'error' && frame.id === id && frame.code === 'forbidden')
  }
}

describe('every route', () => {
  it('has a rule', () => {
    expect(Object.keys(RULES).sort()).toEqual([...names].sort())
  })

  it('refuses a removed member in every form, also with the invitation they had used', async () => {
    const before = await sessionState()
    for (const accept of ['application/json', 'text/event-stream', 'application/x-ndjson']) {
      const guarded = ({ rule }: Row) => !['open', 'anybody'].includes(rule)
      const wrong = await answersTo('removed', accept, guarded)
      expect(wrong.filter((fault) => !fault.includes(': not_acceptable '))).toEqual([])
    }
    const body = { model: 'demo', input: 'and then?', previous_response_id: `resp_${job}` }
    expect(await codeOf(await ask(away, 'removed', 'POST', '/v1/responses', body))).not.toBe('ok')
    expect(await codeOf(await ask(away, 'removed', 'GET', `/v1/me?session=${SESSION}`))).toBe('forbidden')
    expect(await sessionState()).toEqual(before)
  })

  it.each(['viewer', 'approver'] as const)(
    'allows a %s what the role permits, and changes nothing otherwise',
    async (asker) => {
      const before = await sessionState()
      expect(await answersTo(asker)).toEqual([])
      expect(await sessionState()).toEqual(before)
    },
  )

  it.each(['viewer', 'approver'] as const)(
    'allows an owner whose token is limited to %s what that role permits, and changes nothing otherwise',
    async (asker) => {
      const before = await sessionState()
      expect(await answersTo(asker, undefined, undefined, `olga-as-${asker}`)).toEqual([])
      expect(await sessionState()).toEqual(before)
      const fresh = `/v1/sessions/${makeId('s')}`
      expect(await codeOf(await ask(away, `olga-as-${asker}`, 'GET', `${fresh}/events`))).toBe('session_not_found')
    },
  )
})

describe('a token that is limited to a role', () => {
  it('shows the role in attached, and a renewed token changes it', async () => {
    const client = new SocketClient('olga-as-viewer')
    await client.attach()
    await client.has((frame) => frame.type === 'attached' && frame.role === 'viewer')
    const at = { session: SESSION }
    client.send({ type: 'cancel', id: 'c1', ...at })
    await client.refuses('c1')
    client.send({ type: 'token', id: 'r', token: tokens.get('olga') ?? '' })
    await client.has((frame) => frame.type === 'ok' && frame.id === 'r')
    client.send({ type: 'tool.decide', id: 'd1', ...at, call: 'guessed', decision: 'approve' })
    await client.has((frame) => frame.type === 'error' && frame.id === 'd1' && frame.code === 'call_not_found')
  })
})

describe('a change at one node', () => {
  it('applies to clients connected to the other: a lower role loses permissions', async () => {
    await join('guest', 'editor')
    const client = new SocketClient('guest')
    await client.attach()
    expect((await give('guest', 'viewer')).status).toBe(204)
    await client.has(
      (frame) => frame.type === 'entry' && frame.event.type === 'member.joined' && frame.event.role === 'viewer',
    )
    const at = { session: SESSION }
    client.send({ type: 'send', id: 'm', ...at, content: 'hi' })
    client.send({ type: 'cancel', id: 'c', ...at })
    client.send({ type: 'tool.claim', id: 't', ...at, call: 'guessed' })
    client.send({ type: 'tool.decide', id: 'd', ...at, call: 'guessed', decision: 'approve' })
    for (const id of ['m', 'c', 't', 'd']) await client.refuses(id)
  })

  it('ends access at the other for a removed member: socket, streams, polls and responses', async () => {
    const client = new SocketClient('guest')
    await client.attach()
    const open = (path: string, accept: string) => ask(away, 'guest', 'GET', path, undefined, accept)
    const events = `/v1/sessions/${SESSION}/events`
    const streams = await Promise.all([
      open(events, 'text/event-stream'),
      open(events, 'application/x-ndjson'),
      open(`/v1/responses/resp_${job}?stream=true`, 'text/event-stream'),
    ])
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200])
    await remove('guest')
    await client.has((frame) => frame.type === 'error' && frame.code === 'forbidden' && frame.session === SESSION)
    const [sse, lines, response] = streams.map((stream) => stream.text().catch((error: Error) => error.message))
    for (const text of [sse, lines]) expect(await text).toContain('"code":"forbidden"')
    // The OpenAI API has no event for it, so the server cuts the connection.
    expect(await response).toBe('terminated')
    const before = client.frames.length
    for (const path of [`${events}?wait=1`, `/jobs/${job}?wait=1`, `/v1/responses/resp_${job}?stream=true`]) {
      expect(['forbidden', 'job_not_found', 'run_not_found']).toContain(
        await codeOf(await open(path, 'application/json')),
      )
    }
    client.send({ type: 'attach', id: 'again', session: SESSION })
    await client.refuses('again')
    expect(client.frames.slice(before).filter(({ type }) => type === 'entry')).toEqual([])
    const body = { token: invites.get('editor')?.token }
    expect(await codeOf(await ask(away, 'guest', 'POST', `/v1/sessions/${SESSION}/members`, body))).toBe(
      'invite_invalid',
    )
  })

  // Last, because an editor's allowed requests change the session.
  it('allows an editor at the other what the role permits', async () => {
    expect(await answersTo('editor')).toEqual([])
  })
})
