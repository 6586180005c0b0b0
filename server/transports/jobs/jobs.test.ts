// Jobs over the real log, by fetch: what is told of a run while it goes on and when it has ended, waits, tags, retention,
// keys, and what is refused. Runs are not driven: a test appends what a run would have said.
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

async function begin(body: object = { content: 'hi' }, headers: Record<string, string> = {}) {
  const response = await post(body, headers)
  expect(response.status).toBe(202)
  return { response, job: JobAccepted.parse(await response.json()) }
}

async function look(id: string, query = '', headers: Record<string, string> = {}) {
  const response = await fetch(url(`/jobs/${id}${query}`), { headers })
  expect(response.status).toBe(200)
  return { response, job: Job.parse(await response.json()) }
}

/** The run's owner begins. */
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
  it('answers at once with the job, where it is, and when to ask', async () => {
    const { response, job } = await begin({ session: 's', content: 'hi' })
    expect(job).toMatchObject({ session: 's', state: 'queued', id: `${job.run}-s` })
    expect(response.headers.get('location')).toBe(`/jobs/${job.id}`)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    const found = await look(job.id)
    expect(types(found.job)).toEqual(['message'])
    expect(found.job.progress).toMatchObject({ outputs: 0, step: 0, calls: 0, ahead: 0 })
  })

  it('gives a job without a session one of its own', async () => {
    const [one, two] = [await begin(), await begin()]
    expect(one.job.session).not.toBe(two.job.session)
    expect(one.job.session).toMatch(/^job_/)
  })

  it.each([
    ['an id', 'my-key-1'],
    ['any text', 'orders/2026#1 {x}'.replaceAll(' ', '.')],
  ])('gives the same job for the same key, %s', async (_, key) => {
    const headers = { 'Idempotency-Key': key }
    const first = await begin({ content: 'hi' }, headers)
    const again = await Promise.all([begin({ content: 'hi' }, headers), begin({ content: 'hi' }, headers)])
    expect(first.response.headers.get('idempotent-replayed')).toBeNull()
    for (const { job, response } of again) {
      expect(job).toEqual(first.job)
      expect(response.headers.get('idempotent-replayed')).toBe('true')
    }
    expect(await refused(await post({ content: 'other' }, headers))).toEqual({ status: 422, code: 'command_id_reused' })
  })

  it('tells of a job that has ended meanwhile, without a time to come back', async () => {
    const headers = { 'Idempotency-Key': 'k' }
    const { job } = await begin({ content: 'hi' }, headers)
    await start(job)
    await end(job, 1)
    const { response, job: again } = await begin({ content: 'hi' }, headers)
    expect(again).toEqual({ ...job, state: 'completed' })
    expect(response.headers.get('retry-after')).toBeNull()
  })

  it.each([
    ['no content', {}, 'content'],
    ['empty content', { content: '' }, 'content'],
    ['a number', { content: 5 }, 'content'],
    ['a session that is no id', { content: 'x', session: 'a b' }, 'session'],
    ['a policy that is none', { content: 'x', policy: 'wait' }, 'policy'],
    ['seen without an index', { content: 'x', seen: { run: 'r' } }, 'seen.index'],
    ['no object', [1], undefined],
  ])('refuses %s', async (_, body, path) => {
    const problem = await refused(await post(body))
    expect(problem).toEqual({ status: 400, code: 'bad_request', ...(path === undefined ? {} : { path }) })
  })

  it('refuses what is no JSON, another media type, a body that is too large, and a key that is none', async () => {
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
  it('tells what the run put out since the cursor, and of no other run', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await begin({ session: 's', content: 'another' })
    await start(job)
    await say(job, 0, 3)
    const first = await look(job.id, `?since=${job.cursor}`)
    expect(first.job).toMatchObject({ state: 'running', live: true, progress: { outputs: 3, model: 'demo' } })
    expect(types(first.job)).toEqual(['run.started', 'run.output'])
    expect(first.job.entries[1]?.event).toMatchObject({ index: 0, text: ' 0 1 2', count: 3 })
    await say(job, 3, 5)
    const { job: second } = await look(job.id, `?since=${first.job.cursor}`)
    expect(second.entries.map(({ event }) => event)).toMatchObject([{ type: 'run.output', index: 3, count: 2 }])
    const { job: third } = await look(job.id, `?since=${second.cursor}`)
    expect(third).toMatchObject({ entries: [], cursor: second.cursor })
  })

  it('has the result when it has ended, and no time to come back', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await start(job)
    await say(job, 0, 4)
    await end(job, 4)
    const { response, job: found } = await look(job.id)
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

  it('says that it waits, for people and their devices, and at which step it is', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await start(job)
    const about = { run: job.run, call: 'c1', name: 't', input: {}, approval: false, attempt: 1, until: 0, step: 0 }
    await harness.append('s', 'tool.c1', { type: 'tool.called', where: 'client', ...about })
    expect((await look(job.id)).job).toMatchObject({ state: 'waiting', progress: { calls: 1, callsOpen: 1, step: 0 } })
    await harness.append('s', 'tool.c1', { type: 'tool.result', run: job.run, call: 'c1', output: 1, by: 'c' })
    const { job: found } = await look(job.id)
    expect(found).toMatchObject({ state: 'running', progress: { calls: 1, callsOpen: 0, step: 1 } })
    expect(types(found)).toEqual(['message', 'run.started', 'tool.called', 'tool.result'])
  })

  it('tells why a run failed', async () => {
    const { job } = await begin()
    const error = { code: 'provider_timeout', message: 'Too slow.' } as const
    const usage = { inputTokens: 0, outputTokens: 0 }
    const event: Event = { type: 'run.ended', run: job.run, reason: 'failed', error, usage, next: 0 }
    await harness.append(job.session, `run.${job.run}`, event)
    const { job: found } = await look(job.id)
    expect(found).toMatchObject({ state: 'failed', result: { error: { ...error, retryable: true }, text: '' } })
  })

  it('finds any run, whoever began it', async () => {
    await harness.startRun('elsewhere', 'run_x')
    await harness.startRun('elsewhere', 'steer_with-dashes')
    expect((await look('run_x-elsewhere')).job).toMatchObject({ session: 'elsewhere', run: 'run_x', state: 'running' })
    const id = formatJobId({ session: 'elsewhere', run: 'steer_with-dashes' })
    expect((await look(id)).job).toMatchObject({ id, run: 'steer_with-dashes' })
  })

  it('answers to whoever holds it already with 304, and again when it has changed', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    const { response } = await look(job.id)
    const tag = response.headers.get('etag') ?? ''
    const same = await fetch(url(`/jobs/${job.id}`), { headers: { 'If-None-Match': tag } })
    expect([same.status, await same.text()]).toEqual([304, ''])
    expect(same.headers.get('etag')).toBe(tag)
    expect(same.headers.get('retry-after')).not.toBeNull()
    // What is said in the session and not by this run is no change.
    await begin({ session: 's', content: 'another' })
    expect((await fetch(url(`/jobs/${job.id}`), { headers: { 'If-None-Match': `"x", ${tag}` } })).status).toBe(304)
    await start(job)
    const { response: changed } = await look(job.id, '', { 'If-None-Match': tag })
    expect(changed.headers.get('etag')).not.toBe(tag)
  })

  it('begins anew, and says so, for a cursor of another log', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await start(job)
    const { job: found } = await look(job.id, '?since=elsewhere.7')
    expect(found.reset).toBe(true)
    expect(types(found)).toEqual(['message', 'run.started'])
    const { job: beyond } = await look(job.id, `?since=${job.cursor.split('.')[0]}.99999`)
    expect(beyond.reset).toBe(true)
  })

  it.each([
    ['a cursor that is none', '?since=7', 'query.since'],
    ['a wait that is no number', '?wait=long', 'query.wait'],
    ['a wait that is negative', '?wait=-1', 'query.wait'],
  ])('refuses %s', async (_, query, path) => {
    const { job } = await begin()
    expect(await refused(await fetch(url(`/jobs/${job.id}${query}`)))).toEqual({
      status: 400,
      code: 'bad_request',
      path,
    })
  })

  it.each(['nothing', 'run_x-s', '-3-a-b-s', 'a%20b-s', `${'x'.repeat(400)}-s`, '%ff'])(
    'knows no job %s, whatever is asked of it',
    async (id) => {
      for (const method of ['GET', 'DELETE']) {
        const { status, code } = await refused(await fetch(url(`/jobs/${id}`), { method }))
        expect([code, status]).toEqual(id === '%ff' ? ['bad_request', 400] : ['job_not_found', 404])
      }
    },
  )

  it('leaves nothing behind in the log for who asks for what never was', async () => {
    await fetch(url(`/jobs/${makeId('run')}-nobody`))
    expect(await harness.stores.log.head('nobody')).toBe(`${harness.stores.log.epoch}.0`)
  })
})

describe('a job after its end', () => {
  it('is there for the retention time, also when the log is trimmed, and then it is gone', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await start(job)
    await say(job, 0, 3)
    await end(job, 3)
    now += HOUR_MS - 1_000
    await harness.foldAndTrim('s')
    expect((await look(job.id)).job.result?.text).toBe(' 0 1 2')
    now += 5_000
    const expected = { status: 410, code: 'job_expired' }
    expect(await refused(await fetch(url(`/jobs/${job.id}`)))).toEqual(expected)
    expect(await refused(await fetch(url(`/jobs/${job.id}`), { method: 'DELETE' }))).toEqual(expected)
    // Folded and trimmed, it is gone still, and not unknown.
    await harness.foldAndTrim('s')
    expect(await refused(await fetch(url(`/jobs/${job.id}`)))).toEqual(expected)
    expect(HTTP_STATUS.job_expired).toBe(410)
    expect(ERRORS.job_expired.retryable).toBe(false)
  })

  it('that goes on is never gone', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await start(job)
    now += 100 * HOUR_MS
    expect((await look(job.id)).job.state).toBe('running')
  })
})

describe('a long poll', () => {
  it('is answered when something comes after its cursor', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    const waiting = look(job.id, `?since=${job.cursor}&wait=30`)
    await settled(waiting)
    await begin({ session: 's', content: 'another' })
    await start(job)
    const { response, job: found } = await waiting
    expect(types(found)).toEqual(['run.started'])
    expect(response.headers.get('retry-after')).toMatch(/^[0-9]+$/)
  })

  it('without a cursor is answered when the job has ended', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    const waiting = look(job.id, '?wait=30')
    await settled(waiting)
    await start(job)
    await say(job, 0, 3)
    await settled(waiting)
    await end(job, 3)
    expect((await waiting).job.result?.text).toBe(' 0 1 2')
  })

  it('is answered at once for what is there already, or has ended', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await start(job)
    expect(types((await look(job.id, `?since=${job.cursor}&wait=30`)).job)).toEqual(['run.started'])
    await end(job, 0)
    const { job: over } = await look(job.id, '?wait=30')
    expect(over.state).toBe('completed')
    expect((await look(job.id, `?since=${over.cursor}&wait=30`)).job.entries).toEqual([])
  })

  it('is answered with what there is when its time is over', async () => {
    const { job } = await begin()
    const { job: found } = await look(job.id, `?since=${job.cursor}&wait=0.05`)
    expect(found).toMatchObject({ state: 'queued', entries: [], cursor: job.cursor })
  })

  it('whose client has left is forgotten', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    const leaver = new AbortController()
    const waiting = fetch(url(`/jobs/${job.id}?wait=30`), { signal: leaver.signal })
    await settled(waiting)
    expect(harness.http.requests).toBe(1)
    leaver.abort()
    await expect(waiting).rejects.toThrow()
    await expect.poll(() => harness.http.requests).toBe(0)
    await start(job)
    await end(job, 0)
  })

  it('is answered when the node stops, and new jobs are refused', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    const waiting = look(job.id, '?wait=60')
    await settled(waiting)
    harness.http.drain('the test is over', 20)
    expect((await waiting).job.state).toBe('queued')
    expect(await refused(await post({ content: 'x' }))).toMatchObject({ status: 503, code: 'going_away' })
    expect((await look(job.id)).job.state).toBe('queued')
  })
})

describe('DELETE /jobs/{id}', () => {
  it('cancels, once, and answers with the job each time', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
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
    // The log takes nothing more of it.
    await expect(
      harness.stores.log.append(
        's',
        `run.${job.run}`,
        output(job.run, 2, 'late'),
        Number(first.cursor.split('.')[1]) - 1,
      ),
    ).rejects.toThrow()
  })

  it('of a job that has completed changes nothing', async () => {
    const { job } = await begin({ session: 's', content: 'hi' })
    await start(job)
    await end(job, 0)
    const response = await fetch(url(`/jobs/${job.id}`), { method: 'DELETE' })
    expect(Job.parse(await response.json()).state).toBe('completed')
  })
})

describe('where tokens are needed', () => {
  it('asks for one at every route', async () => {
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

/** What was sent has come, and whatever could be answered at once has been. */
async function settled(pending: Promise<unknown>): Promise<void> {
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
