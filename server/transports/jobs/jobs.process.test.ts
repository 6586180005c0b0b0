// Jobs on two real nodes with one NATS: a job can be created at one node and polled at the other, its key works at
// both, and it survives the loss of its node.
import type { Job, JobAccepted } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../../bench/cluster/server-process.ts'
import { demoCount } from '../../test/strict-client.ts'

const SETTINGS = { PARLEY_DRAIN: '1', PARLEY_ACK_WAIT_MS: '1000', PARLEY_RETENTION: '3600' }

let nats: NatsServer
const nodes: ServerProcess[] = []

async function node(name: string): Promise<ServerProcess> {
  const started = await ServerProcess.start({
    ...SETTINGS,
    PARLEY_NATS_URL: nats.url,
    PARLEY_NATS_PREFIX: 'jobs',
    PARLEY_NODE: name,
  })
  nodes.push(started)
  return started
}

beforeAll(async () => {
  nats = await NatsServer.start()
  await Promise.all([node('one'), node('two')])
})
afterAll(async () => {
  await Promise.all(nodes.map((each) => each.dispose()))
  await nats.dispose()
})

async function create(at: ServerProcess, content: string, key: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${at.port}/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify({ content }),
  })
}

async function accepted(response: Response): Promise<JobAccepted> {
  expect(response.status).toBe(202)
  return (await response.json()) as JobAccepted
}

async function get(at: ServerProcess, id: string, query = ''): Promise<Job> {
  const response = await fetch(`http://127.0.0.1:${at.port}/jobs/${id}${query}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Job
}

/** Polls until the job has ended, at each node in turn; every output comes once, in order. */
async function follow(at: readonly ServerProcess[], { id, cursor }: JobAccepted): Promise<Job> {
  let since = cursor
  let next = 0
  for (let turn = 0; ; turn += 1) {
    const job = await get(at[turn % at.length] as ServerProcess, id, `?since=${since}&wait=10`)
    for (const { event } of job.entries) {
      if (event.type !== 'run.output') continue
      expect(event.index).toBe(next)
      next += event.count ?? 1
    }
    since = job.cursor
    if (job.result !== undefined && job.live) return job
  }
}

describe('a job', () => {
  it('has the same state, key and result at every node', async () => {
    const [one, two] = nodes as [ServerProcess, ServerProcess]
    const ask = '/demo count=60 rate=60 ttft=50'
    const job = await accepted(await create(one, ask, 'k1'))
    const [again, sameAtOther, other] = await Promise.all([
      create(one, ask, 'k1'),
      create(two, ask, 'k1'),
      create(two, '/demo count=61', 'k1'),
    ])
    expect((await accepted(again)).id).toBe(job.id)
    expect((await accepted(sameAtOther)).id).toBe(job.id)
    expect(other.status).toBe(422)
    const ended = await follow([two, one], job)
    expect(ended.result).toMatchObject({ state: 'completed', text: demoCount(60), usage: { outputTokens: 60 } })
    const [atOne, atTwo] = await Promise.all([get(one, job.id), get(two, job.id)])
    expect(atOne.result).toEqual(atTwo.result)
  })

  it('can be cancelled at another node', async () => {
    const [one, two] = nodes as [ServerProcess, ServerProcess]
    const job = await accepted(await create(one, '/demo count=5000 rate=100 ttft=0', 'k2'))
    await get(one, job.id, `?since=${job.cursor}&wait=10`)
    const response = await fetch(`http://127.0.0.1:${two.port}/jobs/${job.id}`, { method: 'DELETE' })
    const cancelled = (await response.json()) as Job
    expect(cancelled.state).toBe('cancelled')
    const text = cancelled.result?.text ?? ''
    expect(demoCount(5000).startsWith(text)).toBe(true)
    expect((await get(one, job.id, `?since=${cancelled.cursor}`)).result?.text).toBe(text)
  })

  it('survives the loss of its node, and of all nodes', async () => {
    const [one, two] = nodes as [ServerProcess, ServerProcess]
    const job = await accepted(await create(one, '/demo count=120 rate=60 ttft=0', 'k3'))
    await get(two, job.id, `?since=${job.cursor}&wait=10`)
    await one.kill()
    const ended = await get(two, job.id, '?wait=60')
    expect(ended.result).toMatchObject({ state: 'completed', text: demoCount(120) })
    await two.kill()
    const three = await node('three')
    const found = await get(three, job.id)
    expect(found.result).toEqual(ended.result)
    expect((await accepted(await create(three, '/demo count=120 rate=60 ttft=0', 'k3'))).id).toBe(job.id)
    expect((await fetch(`http://127.0.0.1:${three.port}/jobs/run_1-${job.session}`)).status).toBe(404)
  })
})
