// Commands over plain HTTP, and the connections that clients name: a cancel is final, one claim wins, and the claims
// of a connection that has left are offered again.
import { setTimeout as sleep } from 'node:timers/promises'
import { CommandAnswer, ConnectionAnswer, type Event, makeId, Problem } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { StreamReader } from '../test/stream-reader.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

const SECRET = 'a secret of some length, for tests'
const LOOK_UP = { name: 'look_up', description: 'looks it up', inputSchema: { type: 'object' } }

let harness: TransportHarness
const aborts: AbortController[] = []

async function open(options: HarnessOptions = {}): Promise<void> {
  harness = await TransportHarness.open(options)
}

afterEach(async () => {
  for (const abort of aborts.splice(0)) abort.abort()
  await harness.close()
})

interface Asked {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

function ask(path: string, { method = 'POST', body, headers = {} }: Asked = {}): Promise<Response> {
  const abort = new AbortController()
  aborts.push(abort)
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  return harness.fetch(`/v1/sessions/s${path}`, {
    method,
    ...sent,
    headers: { 'Content-Type': 'application/json', ...headers },
    signal: abort.signal,
  })
}

async function ok(answer: Promise<Response>): Promise<CommandAnswer> {
  const { status, json } = await read(answer)
  expect(status).toBe(200)
  return CommandAnswer.parse(json)
}

async function refused(answer: Promise<Response>): Promise<readonly [number, string]> {
  const { status, json } = await read(answer)
  return [status, Problem.parse(json).code]
}

async function read(answering: Promise<Response>) {
  const answer = await answering
  return { status: answer.status, json: await answer.json() }
}

function tokenOf(user: string): Promise<string> {
  return new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(user).sign(Buffer.from(SECRET))
}

/** Starts a run with a call of a client tool. */
async function calledRun(call = 'call', approval = false): Promise<void> {
  await harness.startRun('s', 'r')
  await harness.append('s', `tool.${call}`, {
    type: 'tool.called',
    run: 'r',
    call,
    name: LOOK_UP.name,
    input: { of: 'me' },
    where: 'client',
    approval,
    attempt: 1,
    until: Date.now() + 60_000,
    step: 0,
  })
}

async function entries(): Promise<readonly Event[]> {
  const { json } = await read(harness.fetch('/v1/sessions/s/events'))
  return (json.entries as { event: Event }[]).map(({ event }) => event)
}

const as = (connection: string, more: Record<string, string> = {}) => ({
  headers: { 'Parley-Connection': connection, ...more },
})
const declare = (connection: string, more: Asked = {}) =>
  ask(`/connections/${connection}`, { method: 'PUT', body: { tools: [LOOK_UP] }, ...more })

describe('cancel', () => {
  it('ends the active run and returns the position of its end', async () => {
    await open()
    await harness.startRun('s', 'r')
    await harness.say('s', 'r', 0, 3)
    const answer = await ok(ask('/cancel', { headers: { 'Idempotency-Key': 'stop' } }))
    expect(answer).toMatchObject({ id: 'stop', session: 's', run: 'r', cursor: expect.stringMatching(/\.6$/) })
    expect((await entries()).at(-1)).toMatchObject({ type: 'run.ended', reason: 'cancelled', next: 3, command: 'stop' })
    // The log accepts no further output of the run.
    await expect(harness.say('s', 'r', 3, 4)).rejects.toThrow('last entry')
  })

  it('returns the same answer when repeated, and an error if there is no run to cancel', async () => {
    await open()
    await harness.startRun('s', 'r')
    const key = { headers: { 'Idempotency-Key': 'stop' }, body: { run: 'r', seen: { run: 'r', index: -1 } } }
    const first = await ok(ask('/cancel', key))
    expect(await ok(ask('/cancel', key))).toEqual({ ...first, duplicate: true })
    expect(await refused(ask('/cancel'))).toEqual([409, 'no_active_run'])
    expect(await refused(ask('/cancel', { body: { run: 'other' } }))).toEqual([404, 'run_not_found'])
  })

  it('ends the run once when many clients cancel at the same time', async () => {
    await open()
    await harness.startRun('s', 'r')
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask('/cancel', { body: { run: 'r' } })))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200))
    expect((await entries()).filter(({ type }) => type === 'run.ended')).toHaveLength(1)
  })

  it('ends the run at the same position for every reader', async () => {
    await open()
    await harness.startRun('s', 'r')
    const answer = await harness.fetch('/v1/sessions/s/events?run=r', { headers: { Accept: 'text/event-stream' } })
    await harness.say('s', 'r', 0, 5)
    const { cursor } = await ok(ask('/cancel'))
    const events = await new StreamReader(answer).until(() => false)
    expect(events.at(-1)).toMatchObject({ event: 'run.ended', id: cursor })
    expect(events.filter(({ event }) => event === 'run.output')).toHaveLength(5)
  })
})

describe('a named connection', () => {
  it('claims a call and submits its result', async () => {
    await open()
    const declared = await read(declare('mine'))
    expect(ConnectionAnswer.parse(declared.json)).toEqual({ connection: 'mine', ttlMs: 30_000 })
    await calledRun()
    const claim = await ok(ask('/tools/call/claim', as('mine')))
    expect(claim.until).toBeGreaterThan(Date.now())
    await ok(ask('/tools/call/result', { ...as('mine'), body: { output: { found: true } } }))
    const events = await entries()
    expect(events.slice(-2)).toMatchObject([
      { type: 'tool.claimed', connection: 'mine', user: 'anonymous' },
      { type: 'tool.result', output: { found: true }, by: 'mine' },
    ])
    expect(await refused(ask('/tools/call/result', { ...as('mine'), body: {} }))).toEqual([409, 'call_ended'])
  })

  it('has exclusive claims', async () => {
    await open()
    await declare('one')
    await declare('two')
    await calledRun()
    const answers = await Promise.all(['one', 'two', 'one'].map((name) => ask('/tools/call/claim', as(name))))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 409).length).toBeGreaterThan(0)
    expect((await entries()).filter(({ type }) => type === 'tool.claimed').length).toBeLessThan(3)
    const holder = (await entries()).findLast((event) => event.type === 'tool.claimed')?.connection
    const other = holder === 'one' ? 'two' : 'one'
    expect(await refused(ask('/tools/call/claim', as(other)))).toEqual([409, 'call_claimed'])
    expect(await refused(ask('/tools/call/result', { ...as(other), body: { output: 1 } }))).toEqual([
      409,
      'call_not_claimed',
    ])
  })

  it('can claim at another node than the one where it declared its tools', async () => {
    await open()
    await declare('elsewhere')
    await calledRun()
    // This node does not know the connection `roaming`, but the tool is in the log.
    await ok(ask('/tools/call/claim', as('roaming')))
  })

  it('leaves some time after its last stream, and its claimed calls are offered again', async () => {
    await open({ connectionMs: 50 })
    await declare('mine')
    const abort = new AbortController()
    const stream = await harness.fetch('/v1/sessions/s/events', {
      headers: { Accept: 'text/event-stream', 'Parley-Connection': 'mine' },
      signal: abort.signal,
    })
    const reader = new StreamReader(stream)
    await reader.until(({ event }) => event === 'live')
    await calledRun()
    await ok(ask('/tools/call/claim', as('mine')))
    // Longer than the connection would stay without the stream.
    await sleep(120)
    expect((await entries()).at(-1)?.type).toBe('tool.claimed')
    abort.abort()
    await expect.poll(async () => (await entries()).at(-1)).toMatchObject({ type: 'tool.called', attempt: 2 })
  })

  it('leaves at once on DELETE', async () => {
    await open()
    await declare('mine')
    await calledRun()
    await ok(ask('/tools/call/claim', as('mine')))
    expect((await ask('/connections/mine', { method: 'DELETE' })).status).toBe(204)
    await expect.poll(async () => (await entries()).at(-1)).toMatchObject({ type: 'tool.called', attempt: 2 })
  })

  it('cannot be used by another user', async () => {
    await open({ auth: { jwtSecret: SECRET } })
    const [ada, eve] = await Promise.all(['ada', 'eve'].map(tokenOf))
    const by = (token: string | undefined) => ({ Authorization: `Bearer ${token}` })
    expect((await declare('mine', { headers: by(ada) })).status).toBe(200)
    const { json: invite } = await read(ask('/invites', { body: { role: 'editor' }, headers: by(ada) }))
    expect((await ask('/members', { body: { token: invite.token }, headers: by(eve) })).status).toBe(200)
    expect(await refused(declare('mine', { headers: by(eve) }))).toEqual([403, 'forbidden'])
    await calledRun()
    await ok(ask('/tools/call/claim', as('mine', by(ada))))
    const stolen = ask('/tools/call/result', { ...as('mine', by(eve)), body: { output: 'forged' } })
    expect(await refused(stolen)).toEqual([409, 'call_not_claimed'])
    const reading = harness.fetch('/v1/sessions/s/events', { headers: { 'Parley-Connection': 'mine', ...by(eve) } })
    expect((await reading).status).toBe(403)
    await ok(ask('/tools/call/result', { ...as('mine', by(ada)), body: { output: 'hers' } }))
  })
})

describe('a decision', () => {
  it('decides an approval once', async () => {
    await open()
    await calledRun('call', true)
    const decide = (decision: string, key = makeId('key')) =>
      ask('/tools/call/decision', { body: { decision, reason: 'so' }, headers: { 'Idempotency-Key': key } })
    await ok(decide('approve', 'first'))
    expect(await ok(decide('approve', 'first'))).toMatchObject({ id: 'first', duplicate: true })
    expect(await refused(decide('deny'))).toEqual([409, 'already_decided'])
  })
})

describe('an answer', () => {
  it('answers a question once', async () => {
    await open()
    await calledRun('call', false)
    const schema = { type: 'object' as const, properties: { n: { type: 'integer' as const } } }
    const asked = { question: 'q', message: 'How many?', schema, until: 1 }
    await harness.append('s', 'tool.call', { type: 'tool.asked', run: 'r', call: 'call', ...asked })
    const answer = (body: object, key = makeId('key')) =>
      ask('/tools/call/answer', { body: { question: 'q', ...body }, headers: { 'Idempotency-Key': key } })
    expect(await refused(answer({ action: 'accept', content: { n: 'two' } }))).toEqual([422, 'invalid_answer'])
    const given = { action: 'accept', content: { n: 2 } }
    await ok(answer(given, 'first'))
    expect(await ok(answer(given, 'first'))).toMatchObject({ id: 'first', duplicate: true })
    expect(await refused(answer({ action: 'cancel' }))).toEqual([409, 'question_closed'])
  })
})

describe('an invalid command', () => {
  it.each([
    ['a call that does not exist', '/tools/none/claim', {}, 404, 'call_not_found'],
    ['a call with an invalid id', '/tools/a.b/claim', {}, 400, 'bad_request'],
    ['a claim without a connection that has the tool', '/tools/call/claim', {}, 409, 'tool_not_declared'],
    ['a connection with an invalid id', '/tools/call/claim', as('a b'), 400, 'bad_request'],
    [
      'a result with both an output and an error',
      '/tools/call/result',
      { body: { output: 1, error: 'x' } },
      400,
      'bad_request',
    ],
    ['an error of a wrong type', '/tools/call/result', { body: { error: 1 } }, 400, 'bad_request'],
    ['an unknown decision', '/tools/call/decision', { body: { decision: 'perhaps' } }, 400, 'bad_request'],
    [
      'a decision that is not needed',
      '/tools/call/decision',
      { body: { decision: 'deny' } },
      409,
      'approval_not_needed',
    ],
    [
      'an answer to an unknown question',
      '/tools/call/answer',
      { body: { question: 'q', action: 'accept' } },
      404,
      'question_not_found',
    ],
    [
      'content without accept',
      '/tools/call/answer',
      { body: { question: 'q', action: 'decline', content: {} } },
      400,
      'bad_request',
    ],
    ['a run with an invalid id', '/cancel', { body: { run: 'a b' } }, 400, 'bad_request'],
    ['`seen` of a wrong type', '/cancel', { body: { seen: 3 } }, 400, 'bad_request'],
  ])('is refused: %s', async (_, path, asked, status, code) => {
    await open()
    await calledRun()
    const before = await harness.stores.log.head('s')
    expect(await refused(ask(path, asked))).toEqual([status, code])
    expect(await harness.stores.log.head('s')).toBe(before)
  })

  it.each([
    ['of a wrong type', { tools: 'all' }, 400, 'bad_request'],
    ['with an invalid name', { tools: [{ name: 'a b' }] }, 400, 'bad_request'],
    ['that are declared twice', { tools: [LOOK_UP, LOOK_UP] }, 422, 'invalid_tool'],
    ['with the name of a server tool', { tools: [{ ...LOOK_UP, name: 'clock' }] }, 422, 'invalid_tool'],
  ])('is refused: tools %s', async (_, body, status, code) => {
    await open({ serverTools: ['clock'] })
    expect(await refused(declare('mine', { body }))).toEqual([status, code])
  })
})
