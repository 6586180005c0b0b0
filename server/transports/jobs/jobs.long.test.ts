// A thousand clients create jobs at one server at the same moment, and poll them: npm run test:chaos.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Job, JobAccepted } from '@parley/protocol'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../../bench/cluster/server-process.ts'
import { demoCount } from '../../test/strict-client.ts'

const CLIENTS = 1_000

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '5000' })
})
afterAll(() => server.dispose())

it('a thousand jobs are polled at different times by clients that follow Retry-After, and all end', async () => {
  const url = `http://127.0.0.1:${server.port}/jobs`
  const delays: number[] = []
  const polls: number[] = []
  const poll = async (id: string, retryAfter: string | null): Promise<Job> => {
    await sleep(Number(retryAfter) * 1000)
    polls.push(performance.now())
    const response = await fetch(`${url}/${id}`)
    const job = (await response.json()) as Job
    return job.result === undefined ? poll(id, response.headers.get('retry-after')) : job
  }
  const ended = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': `c${client}` }
      const body = JSON.stringify({ content: '/demo count=3 rate=0 ttft=3000' })
      const response = await fetch(url, { method: 'POST', headers, body })
      expect(response.status).toBe(202)
      const retryAfter = response.headers.get('retry-after')
      delays.push(Number(retryAfter))
      return poll(((await response.json()) as JobAccepted).id, retryAfter)
    }),
  )
  expect(ended.filter(({ result }) => result?.text === demoCount(3))).toHaveLength(CLIENTS)
  // Both the first delays and the moments of the answers differ. How far the polls are then spread depends on the
  // stalls of a machine on which a thousand clients and their server share two cores.
  expect(fullest(delays, 1)).toBeLessThan(CLIENTS * 0.7)
  expect(fullest(polls, 100)).toBeLessThan(CLIENTS * 0.4)
  // Each client polls only a few times.
  expect(polls.length).toBeLessThan(8 * CLIENTS)
})

/** The largest number of times within one interval. */
function fullest(times: readonly number[], ms: number): number {
  const counts = new Map<number, number>()
  for (const time of times) counts.set(Math.floor(time / ms), (counts.get(Math.floor(time / ms)) ?? 0) + 1)
  return Math.max(...counts.values())
}
