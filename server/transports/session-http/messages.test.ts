// POST …/messages in its four forms: the message is stored once, in every form and however often the request is
// repeated. No run driver is active: the tests append the output of a run themselves.
import {
  ERRORS,
  type Event,
  HTTP_STATUS,
  JobAccepted,
  type MessageEvent,
  Problem,
  type RunError,
  RunResult,
  type SessionSnapshot,
} from '@parley/protocol'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type ServerSentEvent, StreamReader } from '../test/stream-reader.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness
const aborts: AbortController[] = []

async function open(options: HarnessOptions = {}): Promise<void> {
  harness = await TransportHarness.open(options)
}

afterEach(async () => {
  for (const abort of aborts.splice(0)) abort.abort()
  await harness.close()
})

function post(
  body: unknown,
  headers: Record<string, string> = {},
  path = '/v1/sessions/s/messages',
): Promise<Response> {
  const abort = new AbortController()
  aborts.push(abort)
  return harness.fetch(path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', ...headers },
    signal: abort.signal,
  })
}

/** Resolves with the n-th message in the log, as soon as it is there. */
async function message(count = 1): Promise<MessageEvent> {
  for (;;) {
    const messages: MessageEvent[] = []
    for await (const entries of harness.stores.log.read('s', `${harness.stores.log.epoch}.0`)) {
      for (const { event } of entries) if (event.type === 'message') messages.push(event)
    }
    const last = messages.at(count - 1)
    if (last !== undefined) return last
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function start({ id, run }: MessageEvent): Promise<number> {
  return append(run, { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message: id, next: 0 })
}

function append(run: string, event: Event, rollup = false): Promise<number> {
  return harness.append('s', `run.${run}`, event, rollup)
}

function end(run: string, next: number, more: Partial<Extract<Event, { type: 'run.ended' }>> = {}): Promise<number> {
  const usage = { inputTokens: 1, outputTokens: next }
  return append(run, { type: 'run.ended', run, reason: 'completed', usage, next, ...more })
}

/** Answers the n-th message with `0 1 2 …`. */
async function run(outputs: number, count = 1): Promise<MessageEvent> {
  const sent = await message(count)
  await start(sent)
  await harness.say('s', sent.run, 0, outputs)
  await end(sent.run, outputs)
  return sent
}

const types = (events: readonly ServerSentEvent[]) => events.map(({ event }) => event)

it('replaces lone surrogates before it stores a message', async () => {
  await open()
  await post('{"content":"half \\ud83d, whole \\ud83d\\ude00"}', { Prefer: 'respond-async' })
  expect((await message()).content).toEqual([{ type: 'text', text: 'half \ufffd, whole 😀' }])
})

describe('the result', () => {
  it('comes when the run has ended', async () => {
    await open()
    const answering = post({ content: 'hi' }, { 'Idempotency-Key': 'one' })
    const sent = await run(3)
    expect(sent).toMatchObject({ id: 'one', content: [{ type: 'text', text: 'hi' }], policy: 'queue' })
    const answer = await answering
    expect(answer.status).toBe(200)
    const result = RunResult.parse(await answer.json())
    expect(result).toMatchObject({
      id: `${sent.run}-s`,
      session: 's',
      run: sent.run,
      message: 'one',
      state: 'completed',
      text: ' 0 1 2',
      usage: { inputTokens: 1, outputTokens: 3 },
      model: 'demo',
      cursor: expect.stringMatching(/\.6$/),
    })
    expect(answer.headers.get('content-location')).toBe(`/jobs/${result.id}`)
  })

  it('is returned at once when the request is repeated', async () => {
    await open()
    const first = post({ content: 'hi' }, { 'Idempotency-Key': 'one' })
    await run(3)
    const result = await (await first).json()
    const again = await post({ content: 'hi' }, { 'Idempotency-Key': 'one' })
    expect([again.status, await again.json()]).toEqual([200, result])
  })

  it('comes with the tools of the request, also if another node knows its connection', async () => {
    await open()
    const body = { content: 'hi', tools: ['clock', 'lamp'] }
    const refused = await post(body, { Prefer: 'respond-async' })
    expect([refused.status, Problem.parse(await refused.json())]).toMatchObject([400, { path: 'tools' }])
    const headers = { Prefer: 'respond-async', 'Parley-Connection': 'con_1', 'Idempotency-Key': 'one' }
    expect((await post(body, headers)).status).toBe(202)
    expect((await message()).tools).toEqual(['clock', 'lamp'])
    // A repeated request may have other tools by now; it is still the same message.
    expect((await post({ content: 'hi' }, headers)).status).toBe(202)
  })

  it('of an interrupt has the position of the interrupted run’s end', async () => {
    await open()
    await post({ content: 'hi' }, { Prefer: 'respond-async', 'Idempotency-Key': 'one' })
    await start(await message())
    const headers = { Prefer: 'respond-async', 'Idempotency-Key': 'two' }
    const answer = await post({ content: 'no', policy: 'interrupt' }, headers)
    const { cursor } = JobAccepted.parse(await answer.json())
    const seqs = [cursor, answer.headers.get('parley-cursor')].map((text) => Number(text?.split('.')[1]))
    expect(seqs).toEqual([3, 4])
    expect(answer.headers.has('idempotent-replayed')).toBe(false)
    const again = await post({ content: 'no', policy: 'interrupt' }, headers)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  })

  it.each([
    ['cancelled', 200],
    ['superseded', 200],
  ] as const)('of a %s run has the status %i and its state', async (reason, status) => {
    await open()
    const answering = post({ content: 'hi' })
    const sent = await message()
    await end(sent.run, 0, { reason })
    const answer = await answering
    expect([answer.status, (await answer.json()).state]).toEqual([status, reason])
  })

  it.each([
    ['provider_error', 502],
    ['provider_rate_limited', 429],
    ['provider_timeout', 504],
    ['owner_lost', 500],
  ] as const)('of a run that failed with %s has the status %i and the partial result', async (code, status) => {
    await open()
    const answering = post({ content: 'hi' })
    const sent = await message()
    await start(sent)
    await harness.say('s', sent.run, 0, 2)
    await end(sent.run, 2, { reason: 'failed', error: { code, message: 'The provider failed.' } })
    const answer = await answering
    expect(answer.status).toBe(status)
    expect(HTTP_STATUS[code]).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.headers.has('retry-after')).toBe(status === 429)
    const problem = Problem.parse(await answer.json())
    const { retryable } = ERRORS[code]
    expect(problem).toMatchObject({ code, status, retryable, result: { state: 'failed', text: ' 0 1' } })
  })

  // A provider's `Retry-After: 3600` became a random 5 to 14 s, beside two values of `retryable` that disagreed.
  it('of a failed run has the wait that the provider asked for, and one answer to whether a retry may succeed', async () => {
    await open()
    const failed = async (error: RunError, headers: Record<string, string> = {}) => {
      messages += 1
      const answering = post({ content: 'hi' }, headers)
      const sent = await message(messages)
      await start(sent)
      await end(sent.run, 0, { reason: 'failed', error })
      const answer = await answering
      const { retryable, result } = Problem.parse(await answer.json())
      return [answer.headers.get('retry-after'), retryable, result?.error?.retryable]
    }
    let messages = 0
    const error = { code: 'provider_rate_limited', message: 'no' } as const
    expect(await failed({ ...error, retryAfterMs: 3_600_000 })).toEqual(['3600', true, true])
    expect(await failed({ code: 'provider_error', message: 'no', retryable: true, retryAfterMs: 90_000 })).toEqual([
      '90',
      true,
      true,
    ])
    expect(await failed({ ...error, retryable: false, retryAfterMs: 60_000 })).toEqual([null, false, false])
    // With the same key the request finds the same failed run.
    expect(await failed({ ...error, retryAfterMs: 7_000 }, { 'Idempotency-Key': 'k' })).toEqual(['7', false, true])
  })

  it('is a job if the run takes longer than `Prefer: wait`', async () => {
    await open()
    const answer = await post({ content: 'hi' }, { Prefer: 'wait=0' })
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, 'wait=0'])
    const job = JobAccepted.parse(await answer.json())
    expect(job).toMatchObject({ session: 's', state: 'queued' })
    expect(answer.headers.get('location')).toBe(`/jobs/${job.id}`)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  it('is a job after the operator’s maximum if `Prefer: wait` asks for more', async () => {
    await open({ waitMaxS: 1 })
    for (const [prefer, applied] of [
      ['wait=120', 'wait=1'] as const,
      ['respond-async, wait=5', 'respond-async, wait=1'] as const,
      [undefined, null] as const,
    ]) {
      const startedAt = performance.now()
      const answer = await post({ content: 'hi' }, prefer === undefined ? {} : { Prefer: prefer })
      expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, applied])
      expect(JobAccepted.parse(await answer.json())).toMatchObject({ session: 's', state: 'queued' })
      expect(performance.now() - startedAt).toBeGreaterThan(900)
    }
  })

  // nginx answers 504 after 60 s without a byte, and HAProxy often after 50 s: the client then has no job.
  it('is a job after 45 s without `Prefer`', async () => {
    const timeouts = vi.spyOn(globalThis, 'setTimeout')
    try {
      await open()
      const answering = post({ content: 'hi' })
      const sent = await message()
      await expect.poll(() => timeouts.mock.calls.map(([, ms]) => ms)).toContain(45_000)
      await start(sent)
      await end(sent.run, 0)
      expect((await answering).status).toBe(200)
    } finally {
      timeouts.mockRestore()
    }
  })

  it('is a job at once with `Prefer: respond-async`', async () => {
    await open()
    const answer = await post({ content: 'hi' }, { Prefer: 'respond-async' })
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, 'respond-async'])
    expect(JobAccepted.parse(await answer.json()).run).toBe((await message()).run)
  })

  it('is a job when the node drains, which refuses further messages', async () => {
    await open()
    const answering = post({ content: 'hi' })
    await message()
    harness.http.drain('the node stops', 20)
    expect((await answering).status).toBe(202)
    const refused = await post({ content: 'hi' })
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true])
  })

  it('is not awaited any longer after the client has disconnected', async () => {
    await open()
    const answering = post({ content: 'hi' })
    const sent = await message()
    aborts[0]?.abort()
    await expect(answering).rejects.toThrow('aborted')
    await expect.poll(() => harness.http.requests).toBe(0)
    await start(sent)
    await end(sent.run, 0)
  })
})

describe.each([
  ['text/event-stream', 'server-sent events'],
  ['application/x-ndjson', 'NDJSON'],
])('as %s', (accept, name) => {
  async function read(answer: Response): Promise<readonly { type: string; cursor: string }[]> {
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, `${accept}; charset=utf-8`])
    const reader = new StreamReader(answer)
    const frames: string[] = []
    if (accept === 'text/event-stream') frames.push(...(await reader.until(() => false)).map(({ data }) => data))
    else for (let line = await reader.line(); line !== undefined; line = await reader.line()) frames.push(line)
    return frames.map((frame) => {
      const { event, cursor } = JSON.parse(frame)
      return { type: event?.type, cursor }
    })
  }

  it(`${name}: starts with the message, has only its run, and ends with it`, async () => {
    await open()
    await harness.startRun('s', 'before')
    const answer = post({ content: 'hi' }, { Accept: accept })
    const sent = await message(2)
    await harness.say('s', 'before', 0, 2)
    await end('before', 2)
    await run(2, 2)
    const frames = await read(await answer)
    expect(frames.map(({ type }) => type)).toEqual(['message', 'run.started', 'run.output', 'run.output', 'run.ended'])
    expect(sent.run).not.toBe('before')
    await expect.poll(() => harness.http.requests).toBe(0)
  })

  it(`${name}: a repeated request streams from the beginning, or from Last-Event-ID`, async () => {
    await open()
    const first = post({ content: 'hi' }, { Accept: accept, 'Idempotency-Key': 'one' })
    await run(3)
    const frames = await read(await first)
    expect(await read(await post({ content: 'hi' }, { Accept: accept, 'Idempotency-Key': 'one' }))).toEqual(frames)
    for (const [at, { cursor }] of frames.entries()) {
      const headers = { Accept: accept, 'Idempotency-Key': 'one', 'Last-Event-ID': cursor }
      const again = await post({ content: 'hi' }, headers)
      if (at === frames.length - 1) expect(again.status).toBe(204)
      else expect(await read(again)).toEqual(frames.slice(at + 1))
    }
  })
})

describe('an interrupted stream', () => {
  // go-sse and reqwest-eventsource repeat a POST automatically, and each repeat started a run: 4 and 5 runs in 20 s.
  it('is not a new message when its client repeats the request without a key', async () => {
    await open()
    const accept = { Accept: 'text/event-stream' }
    const first = await post({ content: 'hi' }, { ...accept, 'Last-Event-ID': '' })
    await run(2)
    const events = await new StreamReader(first).until(() => false)
    expect(events).toHaveLength(5)
    for (const { id = '' } of events) {
      const again = await post({ content: 'hi' }, { ...accept, 'Last-Event-ID': id })
      expect(Problem.parse(await again.json())).toMatchObject({
        status: 400,
        code: 'bad_request',
        path: 'idempotency-key',
        retryable: false,
        detail: expect.stringContaining('Idempotency-Key'),
      })
    }
    const snapshot: SessionSnapshot = await (await harness.fetch('/v1/sessions/s')).json()
    expect(snapshot.messages.filter(({ role }) => role === 'user')).toHaveLength(1)
  })

  it('has heartbeats as often as the client asks', async () => {
    await open({ http: { heartbeatMs: 60_000 } })
    const answer = await post({ content: 'hi' }, { Accept: 'text/event-stream' }, '/v1/sessions/s/messages?heartbeat=1')
    const reader = new StreamReader(answer)
    setTimeout(() => void run(1), 2_600)
    await reader.until(({ event }) => event === 'run.ended')
    expect(reader.text).toMatch(/\n\n(:\n){3,}event: run.started\n/)
  })

  it('can be resumed with GET …/events', async () => {
    await open()
    const answer = await post({ content: 'hi' }, { Accept: 'text/event-stream' })
    const sent = await message()
    await start(sent)
    await harness.say('s', sent.run, 0, 2)
    const reader = new StreamReader(answer)
    const before = await reader.until(({ data }) => data.includes('"index":1'))
    aborts[0]?.abort()
    await harness.say('s', sent.run, 2, 4)
    const path = `/v1/sessions/s/events?run=${sent.run}&after=${before.at(-1)?.id}`
    const rest = new StreamReader(await harness.fetch(path, { headers: { Accept: 'text/event-stream' } }))
    await harness.say('s', sent.run, 4, 5)
    await end(sent.run, 5)
    const events = await rest.until(() => false)
    expect(types(events)).toEqual(['run.output', 'run.output', 'run.output', 'run.ended'])
    expect(events.map(({ data }) => JSON.parse(data).event.index)).toEqual([2, 3, 4, undefined])
  })
})

describe('an interrupt', () => {
  it('streams from its own message, not from the end of the interrupted run', async () => {
    await open()
    await harness.startRun('s', 'old')
    const answer = await post({ content: 'stop', policy: 'interrupt' }, { Accept: 'text/event-stream' })
    const sent = await run(1, 2)
    const events = await new StreamReader(answer).until(() => false)
    expect(types(events)).toEqual(['message', 'run.started', 'run.output', 'run.ended'])
    expect(JSON.parse(events[0]?.data ?? '').event.id).toBe(sent.id)
  })
})

describe('a key', () => {
  it('that is not a valid id still identifies the command', async () => {
    await open()
    const key = `"${'é'.codePointAt(0)} / ${'x'.repeat(200)}"`.replaceAll(' ', '')
    const headers = { 'Idempotency-Key': key, Prefer: 'respond-async' }
    const [first, second] = [await post({ content: 'hi' }, headers), await post({ content: 'hi' }, headers)]
    expect(await first.json()).toEqual(await second.json())
    expect((await message()).id).toMatch(/^key_[0-9a-z]{52}$/)
  })

  it.each([
    ['content', { content: 'other' }],
    ['policy', { content: 'hi', policy: 'interrupt' }],
    ['model', { content: 'hi', model: 'other' }],
    ['agent', { content: 'hi', agent: 'other' }],
    ['seen', { content: 'hi', seen: { run: 'r', index: 1 } }],
  ])('with another %s is refused', async (_, body) => {
    await open()
    const headers = { 'Idempotency-Key': 'one', Prefer: 'respond-async' }
    expect((await post({ content: 'hi' }, headers)).status).toBe(202)
    const refused = await post(body, headers)
    expect([refused.status, (await refused.json()).code]).toEqual([422, 'command_id_reused'])
    expect((await post({ content: 'hi' }, headers)).status).toBe(202)
  })

  it('has one effect when it is sent many times at once', async () => {
    await open()
    const headers = { 'Idempotency-Key': 'one', Prefer: 'respond-async' }
    const answers = await Promise.all(Array.from({ length: 20 }, () => post({ content: 'hi' }, headers)))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 202))
    const jobs = new Set(await Promise.all(answers.map(async (answer) => (await answer.json()).id)))
    expect(jobs.size).toBe(1)
    const snapshot: SessionSnapshot = await (await harness.fetch('/v1/sessions/s')).json()
    expect(snapshot.messages.filter(({ role }) => role === 'user')).toHaveLength(1)
  })
})

describe('POST …/messages', () => {
  it.each([
    ['a body without content', {}, {}, 400, 'bad_request', 'content'],
    ['content of a wrong type', { content: 1 }, {}, 400, 'bad_request', 'content'],
    ['an empty content', { content: '' }, {}, 400, 'bad_request', 'content'],
    ['an unknown policy', { content: 'hi', policy: 'never' }, {}, 400, 'bad_request', 'policy'],
    ['a model of a wrong type', { content: 'hi', model: {} }, {}, 400, 'bad_request', 'model'],
    ['an incomplete `seen`', { content: 'hi', seen: { run: 'r' } }, {}, 400, 'bad_request', 'seen.index'],
    ['a body that is not an object', '"hi"', {}, 400, 'bad_request', undefined],
    [
      'an unsupported media type of the answer',
      { content: 'hi' },
      { Accept: 'image/png' },
      406,
      'not_acceptable',
      undefined,
    ],
    [
      'an unsupported media type of the body',
      'hi',
      { 'Content-Type': 'text/plain' },
      415,
      'unsupported_media_type',
      undefined,
    ],
    ['a key with blanks', { content: 'hi' }, { 'Idempotency-Key': 'a b' }, 400, 'bad_request', 'idempotency-key'],
    ['a malformed cursor', { content: 'hi' }, { 'Last-Event-ID': 'x' }, 400, 'invalid_cursor', undefined],
    ['a body that is too large', { content: 'x'.repeat(1_200_000) }, {}, 413, 'too_large', undefined],
    ['a text that is too long', { content: 'x'.repeat(600_000) }, {}, 400, 'bad_request', 'content'],
  ])('refuses %s', async (_, body, headers, status, code, path) => {
    await open()
    const answer = await post(body, headers)
    expect(answer.status).toBe(status)
    const problem = Problem.parse(await answer.json())
    expect([problem.code, problem.path]).toEqual([code, path])
    expect(harness.http.requests).toBe(0)
    expect(await harness.stores.log.head('s')).toMatch(/\.0$/)
  })

  it('refuses a message with the policy `reject` while a run is active', async () => {
    await open()
    await harness.startRun('s', 'r')
    const answer = await post({ content: 'hi', policy: 'reject' })
    expect([answer.status, (await answer.json()).code]).toEqual([409, 'run_active'])
  })

  it('refuses a session with an invalid id', async () => {
    await open()
    const answer = await post({ content: 'hi' }, {}, '/v1/sessions/a.b/messages')
    expect([answer.status, (await answer.json()).path]).toEqual([400, 'session'])
  })
})
