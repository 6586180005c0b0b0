// Tests that the server's metrics count what reconnecting clients report: cuts during a run, and changes of transport.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { METRICS, Scrape } from '../../server/test/scrape.ts'
import { ParleyClient } from '../index.ts'
import { Middlebox } from './middlebox.ts'
import { until } from './until.ts'

/** For effects without an event to await; the timeout allows for a slow machine. */
const WAIT = { timeout: 20_000, interval: 20 }

let server: ServerProcess
let gate: Middlebox
let client: ParleyClient
beforeAll(async () => {
  server = await ServerProcess.start(METRICS)
  gate = await Middlebox.open(server.port, { upgrades: 'refuse' })
  client = new ParleyClient({
    url: gate.url,
    reconnect: { baseMs: 20, maxMs: 200 },
    doors: { timeoutMs: 500, stallMs: 700, probeMs: 300, probeMaxMs: 1_000, holdMs: 150 },
  })
})
afterAll(async () => {
  await client.close()
  await gate.close()
  await server.dispose()
})

it('a stream that was cut during a run resumes with its gap, and a better transport reports the previous one', async () => {
  const session = client.session('resumed')
  await until(session, (view) => view.status === 'live')
  const reply = session.send('/demo count=240 rate=80')
  await until(session, (view) => [...view.runs.values()].some((run) => run.text.includes(' 5 ')))
  gate.cut()
  const here = () => Scrape.of(server.port)
  await expect
    .poll(async () => (await here()).by('parley_resumes_total', 'from', { door: 'sse' }), WAIT)
    .toEqual({ sse: 1 })
  gate.rules.upgrades = 'pass'
  await expect
    .poll(async () => (await here()).by('parley_resumes_total', 'from', { door: 'websocket' }), WAIT)
    .toEqual({ sse: 1 })
  for await (const _ of reply.text());

  await expect.poll(async () => (await here()).sum('parley_runs_total'), WAIT).toBe(1)
  const scrape = await here()
  // The reader of a stream sent it as a request of its own.
  expect(scrape.by('parley_runs_total', 'door')).toEqual({ sse: 1 })
  expect(scrape.by('parley_resume_gap_seconds_count', 'door')).toEqual({ sse: 1, websocket: 1 })
  expect(scrape.by('parley_attaches_total', 'kind', { door: 'sse' })).toEqual({ new: 1, resumed: 1 })
  expect(scrape.by('parley_attaches_total', 'kind', { door: 'websocket' })).toEqual({ resumed: 1 })
  expect(scrape.sum('parley_runs_abandoned_total')).toBe(0)
})
