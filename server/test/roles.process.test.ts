// Roles at every route of two whole nodes: they are given at one node, and hold at the other. Each route that the OpenAPI
// document names has a rule here, and whom it refuses is asked for by who is no member any more, and by each role.

import { once } from 'node:events'
import { type ClientFrame, makeId, may, type Permission, ROLES, type ServerFrame } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import WebSocket from 'ws'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'

/** `anybody` has a token, and asks for what is theirs; `open` is for everybody; `joined`: who is a member stays what they are. */
type Rule = Permission | 'anybody' | 'open' | 'joined'
type Asker = 'editor' | 'approver' | 'viewer' | 'removed'

interface Row {
  readonly rule: Rule
  readonly body?: unknown
  /** What somebody is told who was removed; default `forbidden`. */
  readonly unknown?: string
}

const SECRET = 'a secret that is long enough for HS256'
const SESSION = makeId('s')
const WORDS = { content: '/demo count=1 rate=0 ttft=0' }
const AT = '/v1/sessions/{session}'
const JOB = { unknown: 'job_not_found' }
const RESPONSE = { unknown: 'run_not_found' }
/** Of what tells nobody that it has happened. */
const WAIT = { timeout: 15_000, interval: 20 }

/** A route that is not here fails the tests. */
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
  [`POST ${AT}/presence`]: { rule: 'read', body: { state: { typing: true } } },
  [`PUT ${AT}/connections/{connection}`]: {
    rule: 'run',
    body: { tools: [{ name: 'mine', description: '', input: {} }] },
  },
  // To leave with a connection that one does not have is done already, whoever asks.
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
    body: { model: 'demo', messages: [{ role: 'user', content: WORDS.content }] },
  },
  'POST /v1/responses': { rule: 'anybody', body: { model: 'demo', input: WORDS.content } },
  'GET /v1/responses/{id}': { rule: 'read', ...RESPONSE },
  'POST /v1/responses/{id}/cancel': { rule: 'send', ...RESPONSE },
}

let nats: NatsServer
/** Where the owner is, and where everybody else. */
let home: ServerProcess
let away: ServerProcess
let names: readonly string[] = []
let job = ''
/** By role: it was used by one, and is good for another. */
const invites = new Map<string, { readonly token: string; readonly invite: string }>()
const tokens = new Map<string, string>()
const sockets: WebSocket[] = []
const leaver = new AbortController()

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
    const claims = new SignJWT({ sub: user }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h')
    tokens.set(user, await claims.sign(new TextEncoder().encode(SECRET)))
  }
  // It speaks as long as the tests run.
  const told = await ask(home, 'olga', 'POST', '/jobs', { session: SESSION, content: '/demo count=900 rate=5 ttft=0' })
  job = ((await told.json()) as { readonly id: string }).id
  for (const role of ROLES) {
    invites.set(role, await (await ask(home, 'olga', 'POST', `/v1/sessions/${SESSION}/invites`, { role })).json())
  }
  for (const user of ['editor', 'approver', 'viewer']) await join(user, user)
  await join('removed', 'editor')
  await remove('removed')
})
afterAll(async () => {
  leaver.abort()
  for (const socket of sockets) socket.terminate()
  await Promise.all([home.dispose(), away.dispose()])
  await nats.dispose()
})

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
  return fetch(`${originOf(node)}${path}`, { method, headers, ...sent, signal: leaver.signal })
}

async function join(user: string, role: string): Promise<void> {
  const body = { token: invites.get(role)?.token }
  expect((await ask(home, user, 'POST', `/v1/sessions/${SESSION}/members`, body)).status).toBe(200)
  await heardAway(user, 200)
}

async function remove(user: string): Promise<void> {
  const answer = await ask(home, 'olga', 'DELETE', `/v1/sessions/${SESSION}/members/${user}`)
  expect(answer.status).toBe(204)
  await heardAway(user, 403)
}

/** The other node hears of it by the log, a moment later. */
async function heardAway(user: string, status: number): Promise<void> {
  await vi.waitFor(async () => {
    expect((await ask(away, user, 'GET', `/v1/sessions/${SESSION}`)).status).toBe(status)
  }, WAIT)
}

function give(user: string, role: string): Promise<Response> {
  return ask(home, 'olga', 'PUT', `/v1/sessions/${SESSION}/members/${user}`, { role })
}

/** With the real ids, which all of them know or knew. */
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

/** What a refusal says; undefined where the asker may. */
function refusal(asker: Asker, { rule, unknown = 'forbidden' }: Row): string | undefined {
  if (rule === 'open' || rule === 'anybody') return undefined
  if (asker === 'removed') return unknown
  return rule === 'joined' || may(asker, rule) ? undefined : 'forbidden'
}

async function answersTo(asker: Asker, accept?: string, wanted?: (row: Row) => boolean): Promise<string[]> {
  const wrong: string[] = []
  // What is under way is cancelled first, so that no answer waits for its end.
  const inOrder = names.filter((name) => name !== 'GET /v1/ws').sort((a, b) => rank(a) - rank(b))
  for (const name of inOrder) {
    const row = RULES[name]
    if (row === undefined || wanted?.(row) === false) continue
    const body = row.rule === 'joined' ? { token: invites.get('editor')?.token } : row.body
    const [method = ''] = name.split(' ')
    const told = await codeOf(await ask(away, asker, method, pathOf(name), body, accept))
    const expected = refusal(asker, row)
    // What is not there, or is over, is another matter: they were let in.
    const isRight = expected === undefined ? !['forbidden', 'unauthenticated'].includes(told) : told === expected
    if (!isRight) wrong.push(`${name}: ${told} instead of ${expected ?? 'an answer'}`)
  }
  return wrong
}

function rank(name: string): number {
  return name === `POST ${AT}/cancel` ? 0 : 1
}

async function standing(): Promise<unknown> {
  const at = `/v1/sessions/${SESSION}`
  const { title, messages } = (await (await ask(home, 'olga', 'GET', at)).json()) as Record<string, unknown[]>
  const told = (await (await ask(home, 'olga', 'GET', `${at}/members`)).json()) as unknown
  return { title, messages: messages?.length, told }
}

class Line {
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

  it('refuses who was removed, in whatever form they ask, also with the invitation that once let them in', async () => {
    const before = await standing()
    for (const accept of ['application/json', 'text/event-stream', 'application/x-ndjson']) {
      const guarded = ({ rule }: Row) => !['open', 'anybody'].includes(rule)
      const wrong = await answersTo('removed', accept, guarded)
      expect(wrong.filter((line) => !line.includes(': not_acceptable '))).toEqual([])
    }
    const body = { model: 'demo', input: 'and then?', previous_response_id: `resp_${job}` }
    expect(await codeOf(await ask(away, 'removed', 'POST', '/v1/responses', body))).not.toBe('ok')
    expect(await codeOf(await ask(away, 'removed', 'GET', `/v1/me?session=${SESSION}`))).toBe('forbidden')
    expect(await standing()).toEqual(before)
  })

  it.each(['viewer', 'approver'] as const)(
    'lets a %s do what the role says, and changes nothing otherwise',
    async (asker) => {
      const before = await standing()
      expect(await answersTo(asker)).toEqual([])
      expect(await standing()).toEqual(before)
    },
  )
})

describe('a change at one node', () => {
  it('holds at the other for who is connected there: a lower role ends what it allowed', async () => {
    await join('guest', 'editor')
    const line = new Line('guest')
    await line.attach()
    expect((await give('guest', 'viewer')).status).toBe(204)
    await line.has(
      (frame) => frame.type === 'entry' && frame.event.type === 'member.joined' && frame.event.role === 'viewer',
    )
    const at = { session: SESSION }
    line.send({ type: 'send', id: 'm', ...at, content: 'hi' })
    line.send({ type: 'cancel', id: 'c', ...at })
    line.send({ type: 'tool.claim', id: 't', ...at, call: 'guessed' })
    line.send({ type: 'tool.decide', id: 'd', ...at, call: 'guessed', decision: 'approve' })
    for (const id of ['m', 'c', 't', 'd']) await line.refuses(id)
  })

  it('cuts off at the other who is removed: socket, streams, polls and the answer that is streamed', async () => {
    const line = new Line('guest')
    await line.attach()
    const open = (path: string, accept: string) => ask(away, 'guest', 'GET', path, undefined, accept)
    const events = `/v1/sessions/${SESSION}/events`
    const streams = await Promise.all([
      open(events, 'text/event-stream'),
      open(events, 'application/x-ndjson'),
      open(`/v1/responses/resp_${job}?stream=true`, 'text/event-stream'),
    ])
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200])
    await remove('guest')
    await line.has((frame) => frame.type === 'error' && frame.code === 'forbidden' && frame.session === SESSION)
    const [sse, lines, response] = streams.map((stream) => stream.text().catch((error: Error) => error.message))
    for (const text of [sse, lines]) expect(await text).toContain('"code":"forbidden"')
    // The OpenAI API has no word for it: the connection is cut.
    expect(await response).toBe('terminated')
    const told = line.frames.length
    for (const path of [`${events}?wait=1`, `/jobs/${job}?wait=1`, `/v1/responses/resp_${job}?stream=true`]) {
      expect(['forbidden', 'job_not_found', 'run_not_found']).toContain(
        await codeOf(await open(path, 'application/json')),
      )
    }
    line.send({ type: 'attach', id: 'again', session: SESSION })
    await line.refuses('again')
    expect(line.frames.slice(told).filter(({ type }) => type === 'entry')).toEqual([])
    const body = { token: invites.get('editor')?.token }
    expect(await codeOf(await ask(away, 'guest', 'POST', `/v1/sessions/${SESSION}/members`, body))).toBe(
      'invite_invalid',
    )
  })

  // The last one: what it may, it does.
  it('lets an editor at the other do what the role says', async () => {
    expect(await answersTo('editor')).toEqual([])
  })
})
