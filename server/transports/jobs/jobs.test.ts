// Jobs on a real log: the report of a run while it is active and after its end, long polls, ETags, retention, keys and
// errors. No run driver is active: the tests append the output of a run themselves.
import { ERRORS, type Event, HTTP_STATUS, Job, JobAccepted, makeId, RunResult } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type HarnessOptions, output, TransportHarness } from '../test/transport-harness.ts'
import { formatJobId } from './job-id.ts'
import { type JobTransport, openJobTransport } from './job-routes.ts'

const HOUR_MS = 3_600_000

let harness: TransportHarness
let jobs: JobTransport
let now = Date.now()

async function open(options: HarnessOptions = {}): Promise<void> {
  harness = await TransportHarness.open({
    maxAgeMs: HOUR_MS,
    now: () => now,
    ...options,
    routes: (ports) => {
      jobs = openJobTransport({ ...ports, retentionMs: HOUR_MS, busy: () => 0, now: () => now })
      return jobs.routes
    },
  })
}

beforeEach(async () => {
  now = Date.now()
  await open()
})
afterEach(async () => {
  jobs.close()
  await harness.close()
})

const url = (path: string) => `http://127.0.0.1:${harness.port}${path}`

function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const init = { method: 'POST', body: JSON.stringify(body) }
  return fetch(url('/jobs'), { ...init, headers: { 'Content-Type': 'application/json', ...headers } })
}

async function create(body: object = { content: 'hi' }, headers: Record<string, string> = {}) {
  const response = await post(body, headers)
  expect(response.status).toBe(202)
  return { response, job: JobAccepted.parse(await response.json()) }
}

async function get(id: string, query = '', headers: Record<string, string> = {}) {
  const response = await fetch(url(`/jobs/${id}${query}`), { headers })
  expect(response.status).toBe(200)
  return { response, job: Job.parse(await response.json()) }
}

/** Appends the start of the run. */
async function start({ session, run }: JobAccepted): Promise<void> {
  const about = { run, epoch: 1, mode: 'new', model: 'demo', message: 'm', next: 0 } as const
  await harness.append(session, `run.${run}`, { type: 'run.started', ...about })
}

async function say({ session, run }: JobAccepted, from: number, to: number): Promise<void> {
  await harness.say(session, run, from, to)
}

async function end({ session, run }: JobAccepted, next: number): Promise<void> {
  const text = Array.from({ length: next }, (_, index) => ` ${index}`).join('')
  const lengths = Array.from({ length: next }, (_, index) => ` ${index}`.length)
  await harness.append(
    session,
    `run.${run}`,
    {
      type: 'run.ended',
      run,
      reason: 'completed',
      usage: { inputTokens: 3, outputTokens: next },
      next,
      output: [{ type: 'text', text, index: 0, lengths }],
    },
    true,
  )
}

const types = (job: Job) => job.entries.map(({ event }) => event.type)

async function refused(response: Response): Promise<{ status: number; code: string; path?: string }> {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const { status, code, path } = (await response.json()) as { status: number; code: string; path?: string }
  expect(response.status).toBe(status)
  return { status, code, ...(path === undefined ? {} : { path }) }
}

describe('POST /jobs', () => {
  it('answers at once with the job, its URL, and the time of the next poll', async () => {
    const { response, job } = await create({ session: 's', content: 'hi' })
    expect(job).toMatchObject({ session: 's', state: 'queued', id: `${job.run}-s` })
    expect(response.headers.get('location')).toBe(`/jobs/${job.id}`)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    const found = await get(job.id)
    expect(types(found.job)).toEqual(['message'])
    expect(found.job.progress).toMatchObject({ outputs: 0, step: 0, calls: 0, ahead: 0 })
  })

  it('creates a session for a job without one', async () => {
    const [one, two] = [await create(), await create()]
    expect(one.job.session).not.toBe(two.job.session)
    expect(one.job.session).toMatch(/^job_/)
  })

  it.each([
    ['an id', 'my-key-1'],
    ['any text', 'orders/2026#1 {x}'.replaceAll(' ', '.')],
  ])('returns the same job for the same key: %s', async (_, key) => {
    const headers = { 'Idempotency-Key': key }
    const first = await create({ content: 'hi' }, headers)
    const again = await Promise.all([create({ content: 'hi' }, headers), create({ content: 'hi' }, headers)])
    expect(first.response.headers.get('idempotent-replayed')).toBeNull()
    for (const { job, response } of again) {
      expect(job).toEqual(first.job)
      expect(response.headers.get('idempotent-replayed')).toBe('true')
    }
    expect(await refused(await post({ content: 'other' }, headers))).toEqual({ status: 422, code: 'command_id_reused' })
  })

  it('returns a job that has already ended without Retry-After', async () => {
    const headers = { 'Idempotency-Key': 'k' }
    const { job } = await create({ content: 'hi' }, headers)
    await start(job)
    await end(job, 1)
    const { response, job: again } = await create({ content: 'hi' }, headers)
    expect(again).toEqual({ ...job, state: 'completed' })
    expect(response.headers.get('retry-after')).toBeNull()
  })

  it.each([
    ['no content', {}, 'content'],
    ['empty content', { content: '' }, 'content'],
    ['a number', { content: 5 }, 'content'],
    ['a session with an invalid id', { content: 'x', session: 'a b' }, 'session'],
    ['an unknown policy', { content: 'x', policy: 'wait' }, 'policy'],
    ['seen without an index', { content: 'x', seen: { run: 'r' } }, 'seen.index'],
    ['a body that is not an object', [1], undefined],
  ])('refuses %s', async (_, body, path) => {
    const problem = await refused(await post(body))
    expect(problem).toEqual({ status: 400, code: 'bad_request', ...(path === undefined ? {} : { path }) })
  })

  it('refuses invalid JSON, another media type, a large body, and an invalid key', async () => {
    const send = (body: string, type: string) =>
      fetch(url('/jobs'), { method: 'POST', body, headers: { 'Content-Type': type } })
    expect(await refused(await send('{', 'application/json'))).toMatchObject({ code: 'bad_request' })
    expect(await refused(await send('{"content":"x"}', 'text/plain'))).toMatchObject({ status: 415 })
    const huge = JSON.stringify({ content: 'x'.repeat(1_100_000) })
    expect(await refused(await send(huge, 'application/json'))).toMatchObject({ status: 413, code: 'too_large' })
    const keyed = await post({ content: 'x' }, { 'Idempotency-Key': 'k'.repeat(256) })
    expect(await refused(keyed)).toMatchObject({ status: 400, path: 'idempotency-key' })
  })
})

describe('GET /jobs/{id}', () => {
  it('returns the output of the run after the cursor, and of no other run', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await create({ session: 's', content: 'another' })
    await start(job)
    await say(job, 0, 3)
    const first = await get(job.id, `?since=${job.cursor}`)
    expect(first.job).toMatchObject({ state: 'running', live: true, progress: { outputs: 3, model: 'demo' } })
    expect(types(first.job)).toEqual(['run.started', 'run.output'])
    expect(first.job.entries[1]?.event).toMatchObject({ index: 0, text: ' 0 1 2', count: 3 })
    await say(job, 3, 5)
    const { job: second } = await get(job.id, `?since=${first.job.cursor}`)
    expect(second.entries.map(({ event }) => event)).toMatchObject([{ type: 'run.output', index: 3, count: 2 }])
    const { job: third } = await get(job.id, `?since=${second.cursor}`)
    expect(third).toMatchObject({ entries: [], cursor: second.cursor })
  })

  it('returns the result after the end, without Retry-After', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    await say(job, 0, 4)
    await end(job, 4)
    const { response, job: found } = await get(job.id)
    expect(response.headers.get('retry-after')).toBeNull()
    expect(found.state).toBe('completed')
    expect(RunResult.parse(found.result)).toMatchObject({
      id: job.id,
      state: 'completed',
      text: ' 0 1 2 3',
      usage: { inputTokens: 3, outputTokens: 4 },
      model: 'demo',
    })
    expect(found.progress).toMatchObject({ outputs: 4, outputTokens: 4 })
  })

  it('reports that the run waits for a device, and its step', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    const about = { run: job.run, call: 'c1', name: 't', input: {}, approval: false, attempt: 1, until: 0, step: 0 }
    await harness.append('s', 'tool.c1', { type: 'tool.called', where: 'client', ...about })
    expect((await get(job.id)).job).toMatchObject({ state: 'waiting', progress: { calls: 1, callsOpen: 1, step: 0 } })
    await harness.append('s', 'tool.c1', { type: 'tool.result', run: job.run, call: 'c1', output: 1, by: 'c' })
    const { job: found } = await get(job.id)
    expect(found).toMatchObject({ state: 'running', progress: { calls: 1, callsOpen: 0, step: 1 } })
    expect(types(found)).toEqual(['message', 'run.started', 'tool.called', 'tool.result'])
  })

  it('reports why a run failed', async () => {
    const { job } = await create()
    const error = { code: 'provider_timeout', message: 'Too slow.' } as const
    const usage = { inputTokens: 0, outputTokens: 0 }
    const event: Event = { type: 'run.ended', run: job.run, reason: 'failed', error, usage, next: 0 }
    await harness.append(job.session, `run.${job.run}`, event)
    const { job: found } = await get(job.id)
    expect(found).toMatchObject({ state: 'failed', result: { error: { ...error, retryable: true }, text: '' } })
  })

  it('finds any run, also if it was not created as a job', async () => {
    await harness.startRun('elsewhere', 'run_x')
    await harness.startRun('elsewhere', 'steer_with-dashes')
    expect((await get('run_x-elsewhere')).job).toMatchObject({ session: 'elsewhere', run: 'run_x', state: 'running' })
    const id = formatJobId({ session: 'elsewhere', run: 'steer_with-dashes' })
    expect((await get(id)).job).toMatchObject({ id, run: 'steer_with-dashes' })
  })

  it('answers 304 until the job has changed', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    const { response } = await get(job.id)
    const tag = response.headers.get('etag') ?? ''
    const same = await fetch(url(`/jobs/${job.id}`), { headers: { 'If-None-Match': tag } })
    expect([same.status, await same.text()]).toEqual([304, ''])
    expect(same.headers.get('etag')).toBe(tag)
    expect(same.headers.get('retry-after')).not.toBeNull()
    // Entries of other runs in the session do not change the job.
    await create({ session: 's', content: 'another' })
    expect((await fetch(url(`/jobs/${job.id}`), { headers: { 'If-None-Match': `"x", ${tag}` } })).status).toBe(304)
    await start(job)
    const { response: changed } = await get(job.id, '', { 'If-None-Match': tag })
    expect(changed.headers.get('etag')).not.toBe(tag)
  })

  it('resets the client for a cursor of another log', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    const { job: found } = await get(job.id, '?since=elsewhere.7')
    expect(found.reset).toBe(true)
    expect(types(found)).toEqual(['message', 'run.started'])
    const { job: beyond } = await get(job.id, `?since=${job.cursor.split('.')[0]}.99999`)
    expect(beyond.reset).toBe(true)
  })

  it.each([
    ['a malformed cursor', '?since=7', 'query.since'],
    ['a wait that is not a number', '?wait=long', 'query.wait'],
    ['a wait that is negative', '?wait=-1', 'query.wait'],
  ])('refuses %s', async (_, query, path) => {
    const { job } = await create()
    expect(await refused(await fetch(url(`/jobs/${job.id}${query}`)))).toEqual({
      status: 400,
      code: 'bad_request',
      path,
    })
  })

  it.each(['nothing', 'run_x-s', '-3-a-b-s', 'a%20b-s', `${'x'.repeat(400)}-s`, '%ff'])(
    'does not find the job %s',
    async (id) => {
      for (const method of ['GET', 'DELETE']) {
        const { status, code } = await refused(await fetch(url(`/jobs/${id}`), { method }))
        expect([code, status]).toEqual(id === '%ff' ? ['bad_request', 400] : ['job_not_found', 404])
      }
    },
  )

  it('writes nothing to the log for an unknown job', async () => {
    await fetch(url(`/jobs/${makeId('run')}-nobody`))
    expect(await harness.stores.log.head('nobody')).toBe(`${harness.stores.log.epoch}.0`)
  })
})

describe('an ended job', () => {
  it('is available for the retention time, also after a trim of the log, and then expires', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    await say(job, 0, 3)
    await end(job, 3)
    now += HOUR_MS - 1_000
    await harness.compactAndTrim('s')
    expect((await get(job.id)).job.result?.text).toBe(' 0 1 2')
    now += 5_000
    const expected = { status: 410, code: 'job_expired' }
    expect(await refused(await fetch(url(`/jobs/${job.id}`)))).toEqual(expected)
    expect(await refused(await fetch(url(`/jobs/${job.id}`), { method: 'DELETE' }))).toEqual(expected)
    // After compaction and trim it is still expired, not unknown.
    await harness.compactAndTrim('s')
    expect(await refused(await fetch(url(`/jobs/${job.id}`)))).toEqual(expected)
    expect(HTTP_STATUS.job_expired).toBe(410)
    expect(ERRORS.job_expired.retryable).toBe(false)
  })

  it('expires only after its end', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    now += 100 * HOUR_MS
    expect((await get(job.id)).job.state).toBe('running')
  })
})

describe('a long poll', () => {
  it('answers when there is an entry after its cursor', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    const waiting = get(job.id, `?since=${job.cursor}&wait=30`)
    await expectPending(waiting)
    await create({ session: 's', content: 'another' })
    await start(job)
    const { response, job: found } = await waiting
    expect(types(found)).toEqual(['run.started'])
    expect(response.headers.get('retry-after')).toMatch(/^[0-9]+$/)
  })

  it('without a cursor answers when the job has ended', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    const waiting = get(job.id, '?wait=30')
    await expectPending(waiting)
    await start(job)
    await say(job, 0, 3)
    await expectPending(waiting)
    await end(job, 3)
    expect((await waiting).job.result?.text).toBe(' 0 1 2')
  })

  it('answers at once if there is an entry, or the job has ended', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    expect(types((await get(job.id, `?since=${job.cursor}&wait=30`)).job)).toEqual(['run.started'])
    await end(job, 0)
    const { job: ended } = await get(job.id, '?wait=30')
    expect(ended.state).toBe('completed')
    expect((await get(job.id, `?since=${ended.cursor}&wait=30`)).job.entries).toEqual([])
  })

  it('answers with the current state after the wait', async () => {
    const { job } = await create()
    const { job: found } = await get(job.id, `?since=${job.cursor}&wait=0.05`)
    expect(found).toMatchObject({ state: 'queued', entries: [], cursor: job.cursor })
  })

  it('ends when its client disconnects', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    const client = new AbortController()
    const waiting = fetch(url(`/jobs/${job.id}?wait=30`), { signal: client.signal })
    await expectPending(waiting)
    expect(harness.http.requests).toBe(1)
    client.abort()
    await expect(waiting).rejects.toThrow()
    await expect.poll(() => harness.http.requests).toBe(0)
    await start(job)
    await end(job, 0)
  })

  it('answers when the node drains, which refuses new jobs', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    const waiting = get(job.id, '?wait=60')
    await expectPending(waiting)
    harness.http.drain('the test is over', 20)
    expect((await waiting).job.state).toBe('queued')
    expect(await refused(await post({ content: 'x' }))).toMatchObject({ status: 503, code: 'going_away' })
    expect((await get(job.id)).job.state).toBe('queued')
  })
})

describe('DELETE /jobs/{id}', () => {
  it('cancels once, and answers every repeat with the job', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    await say(job, 0, 2)
    const cancel = async () => {
      const response = await fetch(url(`/jobs/${job.id}`), { method: 'DELETE' })
      expect(response.status).toBe(200)
      return Job.parse(await response.json())
    }
    const first = await cancel()
    expect(first).toMatchObject({ state: 'cancelled', result: { state: 'cancelled', text: ' 0 1' } })
    const head = await harness.stores.log.head('s')
    expect(await cancel()).toEqual(first)
    expect(await harness.stores.log.head('s')).toBe(head)
    // The log accepts no further output of the run.
    await expect(
      harness.stores.log.append(
        's',
        `run.${job.run}`,
        output(job.run, 2, 'late'),
        Number(first.cursor.split('.')[1]) - 1,
      ),
    ).rejects.toThrow()
  })

  it('does not change a completed job', async () => {
    const { job } = await create({ session: 's', content: 'hi' })
    await start(job)
    await end(job, 0)
    const response = await fetch(url(`/jobs/${job.id}`), { method: 'DELETE' })
    expect(Job.parse(await response.json()).state).toBe('completed')
  })
})

describe('with authentication', () => {
  it('every route requires an access token', async () => {
    jobs.close()
    await harness.close()
    await open({ auth: { jwtSecret: 'a secret that is long enough for HS256' } })
    for (const [method, path] of [
      ['POST', '/jobs'],
      ['GET', '/jobs/run_x-s'],
      ['DELETE', '/jobs/run_x-s'],
    ] as const) {
      expect(await refused(await fetch(url(path), { method }))).toEqual({ status: 401, code: 'unauthenticated' })
    }
  })
})

/** Waits until the server has received the request, and checks that it has not answered it. */
async function expectPending(pending: Promise<unknown>): Promise<void> {
  let done = false
  pending.then(
    () => {
      done = true
    },
    () => {
      done = true
    },
  )
  await expect.poll(() => harness.http.requests).toBeGreaterThan(0)
  await fetch(url('/healthz'))
  expect(done).toBe(false)
}
