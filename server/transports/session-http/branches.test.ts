// Branches over plain HTTP: messages and jobs that name their parent, and the tree in a snapshot.
import { SessionSnapshot } from '@parley/protocol'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type JobTransport, openJobTransport } from '../jobs/job-routes.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness
let jobs: JobTransport

beforeEach(async () => {
  const routes: HarnessOptions['routes'] = (ports) => {
    jobs = openJobTransport({ ...ports, retentionMs: 60_000, busy: () => 0 })
    return jobs.routes
  }
  harness = await TransportHarness.open({ routes })
})
afterEach(async () => {
  jobs.close()
  await harness.close()
})

function post(path: string, key: string, body: object): Promise<Response> {
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': key, Prefer: 'respond-async' }
  return harness.fetch(path, { method: 'POST', body: JSON.stringify(body), headers })
}

it('returns an edited message in the snapshot as a sibling of the original', async () => {
  const messages = '/v1/sessions/s/messages'
  await post(messages, 'one', { content: 'one' })
  await post(messages, 'two', { content: 'two' })
  expect((await post(messages, 'edit', { content: 'two!', parent: 'one', policy: 'interrupt' })).status).toBe(202)
  expect((await post('/jobs', 'job', { session: 's', content: 'start again', parent: null })).status).toBe(202)
  await post(messages, 'next', { content: 'next' })
  const snapshot = SessionSnapshot.parse(await (await harness.fetch('/v1/sessions/s')).json())
  expect(snapshot.messages.flatMap((item) => (item.role === 'user' ? [[item.id, item.parent]] : []))).toEqual([
    ['one', null],
    ['two', 'one'],
    ['edit', 'one'],
    ['job', null],
    ['next', 'job'],
  ])
})

it('refuses a parent that is not in the session', async () => {
  await post('/v1/sessions/other/messages', 'theirs', { content: 'one' })
  for (const path of ['/v1/sessions/s/messages', '/jobs']) {
    const session = path === '/jobs' ? { session: 's' } : {}
    const answer = await post(path, 'edit', { content: 'x', parent: 'theirs', ...session })
    expect([answer.status, (await answer.json()).code]).toEqual([422, 'parent_not_found'])
  }
  expect((await post('/v1/sessions/s/messages', 'edit', { content: 'x', parent: 'no id' })).status).toBe(400)
})
