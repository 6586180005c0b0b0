// /metrics of real nodes: runs over every transport are counted exactly, also cancelled and abandoned runs and those
// that another node takes over.
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { EntryFrame } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { PROMTOOL, requireProgram } from '../../scripts/programs.mjs'
import { TestClient } from '../transports/test/test-client.ts'
import { METRICS, Scrape } from './scrape.ts'

/** For conditions without an event; the timeout is generous for slow machines. */
const WAIT = { timeout: 20_000, interval: 20 }
const TOKENS = 10
const ASK = `/demo count=${TOKENS} rate=0 ttft=0`
const FIRST_TOKEN = 'gen_ai_server_time_to_first_token_seconds_count'

const started: ServerProcess[] = []
const clients: TestClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await Promise.all(started.splice(0).map((node) => node.dispose()))
})

async function start(settings: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const node = await ServerProcess.start({ ...METRICS, ...settings })
  started.push(node)
  return node
}

async function enter(node: ServerProcess): Promise<TestClient> {
  const client = new TestClient(node.url)
  clients.push(client)
  await client.opened
  client.send({ type: 'hello' })
  await client.next('welcome')
  return client
}

async function post(node: ServerProcess, path: string, body: unknown, headers: Record<string, string> = {}) {
  const init = { method: 'POST', body: JSON.stringify(body) }
  const all = { 'Content-Type': 'application/json', ...headers }
  const response = await fetch(`http://127.0.0.1:${node.port}${path}`, { ...init, headers: all })
  return { status: response.status, text: await response.text() }
}

/** Resolves with a scrape when that many runs have ended. */
async function scraped(node: ServerProcess, runs: number): Promise<Scrape> {
  let scrape = await Scrape.of(node.port)
  await expect
    .poll(async () => {
      scrape = await Scrape.of(node.port)
      return scrape.sum('parley_runs_total')
    }, WAIT)
    .toBe(runs)
  return scrape
}

function events<T extends EntryFrame['event']['type']>(client: TestClient, session: string, type: T) {
  type Event = Extract<EntryFrame['event'], { type: T }>
  return client.entries(session).flatMap(({ event }) => (event.type === type ? [event as Event] : []))
}

describe('a node', () => {
  it('counts each run once, with its transport, tokens and cost', async () => {
    const prices = { currency: 'EUR', models: { demo: { input: 0, output: 100 } } }
    const node = await start({ PARLEY_NODE: 'solo', PARLEY_PRICES: JSON.stringify(prices) })
    const client = await enter(node)
    client.send({ type: 'attach', id: 'a', session: 'ws' }, { type: 'send', id: 's', session: 'ws', content: ASK })
    const message = { content: ASK }
    const answers = await Promise.all([
      post(node, '/v1/sessions/sse/messages', message, { Accept: 'text/event-stream' }),
      post(node, '/v1/sessions/ndjson/messages', message, { Accept: 'application/x-ndjson' }),
      post(node, '/v1/sessions/request/messages', message),
      post(node, '/v1/sessions/told/messages', message, { 'Parley-Door': 'poll', Prefer: 'respond-async' }),
      post(node, '/jobs', message),
      post(node, '/v1/chat/completions', { model: 'demo', messages: [{ role: 'user', content: ASK }] }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 202, 202, 200])
    await client.when(() => events(client, 'ws', 'run.ended').length > 0)

    const scrape = await scraped(node, 7)
    const once = { websocket: 1, sse: 1, ndjson: 1, request: 1, poll: 1, job: 1, openai: 1 }
    expect(scrape.by('parley_runs_total', 'door', { outcome: 'completed', node: 'solo', variant: '' })).toEqual(once)
    expect(scrape.by(FIRST_TOKEN, 'door', { gen_ai_provider_name: 'parley.demo' })).toEqual(once)
    expect(scrape.by('gen_ai_server_request_duration_seconds_count', 'door', { error_type: '' })).toEqual(once)
    expect(scrape.by('parley_run_queue_wait_seconds_count', 'door')).toEqual(once)
    expect(scrape.sum('gen_ai_client_token_usage_sum', { gen_ai_token_type: 'output' })).toBe(7 * TOKENS)
    expect(scrape.sum('gen_ai_client_operation_duration_seconds_count', { error_type: '' })).toBe(7)
    expect(scrape.sum('parley_run_cost_sum', { currency: 'EUR' })).toBeCloseTo((7 * TOKENS * 100) / 1_000_000)
    expect(scrape.by('parley_attaches_total', 'door', { kind: 'new' })).toEqual({ ndjson: 1, sse: 1, websocket: 1 })
    expect(scrape.sum('parley_attaches_total')).toBe(3)
    expect(scrape.sum('parley_readers', { door: 'websocket' })).toBe(1)
    expect(scrape.sum('parley_connections', { kind: 'websocket' })).toBe(1)
    expect(scrape.sum('parley_log_append_duration_seconds_count', { lane: 'in' })).toBe(7)
    expect(scrape.sum('parley_tokens_wasted_total')).toBe(0)
    // The two asynchronous runs, whose clients never polled.
    expect(scrape.by('parley_runs_abandoned_total', 'door')).toEqual({ job: 1, poll: 1 })
    const route = { http_route: '/v1/sessions/:session/messages', http_request_method: 'POST' }
    const statuses = scrape.by('http_server_request_duration_seconds_count', 'http_response_status_code', route)
    expect(statuses).toEqual({ 200: 3, 202: 1 })
  })

  it('counts wasted tokens of a cancel, resumes and refusals', async () => {
    const node = await start({ PARLEY_NODE: 'solo' })
    const client = await enter(node)
    const session = 's'
    client.send(
      { type: 'attach', id: 'a', session },
      { type: 'send', id: 'm', session, content: '/demo count=5000 rate=200 ttft=0' },
    )
    await client.when(() => events(client, session, 'run.output').length >= 20)
    const [{ run = '' } = {}] = events(client, session, 'run.started')
    client.send({ type: 'cancel', id: 'c', session, seen: { run, index: 4 } })
    await client.next('ok', 'c')
    const [ended] = events(client, session, 'run.ended')
    client.send({ type: 'cancel', id: 'c2', session }, { type: 'nonsense' } as never)
    await client.next('error', 'c2')
    const cursor = client.entries(session).at(-1)?.cursor ?? ''
    client.socket.close()
    await client.closed

    const back = await enter(node)
    back.send({ type: 'attach', id: 'b', session, after: cursor, resume: { door: 'sse', gapMs: 1500 } })
    await back.next('live')
    back.send({ type: 'attach', id: 'b2', session: 'other', after: 'elsewhere.7' })
    await back.when(() => back.frames.filter(({ type }) => type === 'live').length === 2)
    const refused = await post(node, '/v1/sessions/s/messages', { content: 7 })
    expect(refused.status).toBe(400)

    const scrape = await scraped(node, 1)
    expect(scrape.by('parley_runs_total', 'outcome')).toEqual({ cancelled: 1 })
    expect(scrape.by('gen_ai_server_request_duration_seconds_count', 'error_type')).toEqual({ cancelled: 1 })
    expect(scrape.sum('gen_ai_client_operation_duration_seconds_count', { error_type: 'cancelled' })).toBe(1)
    expect(scrape.by('parley_cancel_to_last_token_seconds_count', 'door')).toEqual({ websocket: 1 })
    // Indexes from 5 on were stored, but not seen.
    const stored = ended?.next ?? 0
    expect(stored).toBeGreaterThanOrEqual(20)
    expect(scrape.sum('parley_tokens_wasted_total', { state: 'unseen' })).toBe(stored - 5)
    // Several tokens may be merged into one output, so the tokens of the text are counted.
    const tokens = client.text(session).trim().split(' ').length
    const used = scrape.sum('gen_ai_client_token_usage_sum', { gen_ai_token_type: 'output' })
    expect(used).toBe(tokens + scrape.sum('parley_tokens_wasted_total', { state: 'unstored' }))
    expect(scrape.sum('parley_runs_abandoned_total')).toBe(0)
    expect(scrape.by('parley_attaches_total', 'kind', { door: 'websocket' })).toEqual({ new: 1, reset: 1, resumed: 1 })
    expect(scrape.by('parley_resumes_total', 'from', { door: 'websocket' })).toEqual({ sse: 1 })
    expect(scrape.sum('parley_resume_gap_seconds_sum', { from: 'sse' })).toBeGreaterThanOrEqual(1.5)
    expect(scrape.by('parley_refusals_total', 'code', { door: 'websocket' })).toEqual({
      no_active_run: 1,
      unknown_type: 1,
    })
    expect(scrape.by('parley_refusals_total', 'code', { door: 'http' })).toEqual({ bad_request: 1 })
  })

  it('counts fetches of the key set, also those that fail', async () => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
    const set = JSON.stringify({ keys: [{ ...key, kid: 'other', alg: 'ES256' }] })
    const keys = createServer((_, response) => response.end(set))
      .listen(0, '127.0.0.1')
      .unref()
    await once(keys, 'listening')
    // The header names a key, for which the server fetches the set.
    const token = `${Buffer.from('{"alg":"ES256","kid":"k"}').toString('base64url')}.e30.AAAA`
    const ask = (to: ServerProcess) =>
      fetch(`http://127.0.0.1:${to.port}/v1/sessions`, { headers: { Authorization: `Bearer ${token}` } })
    const url = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`
    const node = await start({ PARLEY_JWKS_URL: url })
    await ask(node)
    const fetches = async () => (await Scrape.of(node.port)).by('parley_key_set_fetches_total', 'result')
    await expect.poll(fetches, WAIT).toEqual({ ok: 1 })

    keys.closeAllConnections()
    keys.close()
    const other = await start({ PARLEY_JWKS_URL: url })
    await ask(other)
    const failed = async () => (await Scrape.of(other.port)).sum('parley_key_set_fetches_total', { result: 'failed' })
    await expect.poll(failed, WAIT).toBeGreaterThan(0)
  })

  it('has a format that promtool accepts', async () => {
    const promtool = requireProgram(PROMTOOL)
    const node = await start({ PARLEY_PRICES: '{"models":{"demo":{"input":1,"output":1}}}' })
    await post(node, '/v1/sessions/s/messages', { content: ASK })
    const { text } = await scraped(node, 1)
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: text, encoding: 'utf8' })
    expect(`${stdout}${stderr}`).toBe('')
    expect(status).toBe(0)
  })
})

describe('two nodes', () => {
  let nats: NatsServer
  beforeAll(async () => {
    nats = await NatsServer.start()
  })
  afterAll(() => nats.dispose())

  it('count a run where it ended, with the failover pause, and know of readers on other nodes', async () => {
    const common = {
      PARLEY_NATS_URL: nats.url,
      PARLEY_NATS_PREFIX: 'metrics',
      PARLEY_ACK_WAIT_MS: '1000',
      PARLEY_EXPERIMENT: 'x: everybody=1:auto, nobody=0:sse',
    }
    const gateway = await start({ ...common, PARLEY_NODE: 'gateway', PARLEY_ROLE: 'gateway' })
    const first = await start({ ...common, PARLEY_NODE: 'first', PARLEY_ROLE: 'worker' })
    const reader = await enter(gateway)
    const session = 'moved'
    reader.send(
      { type: 'attach', id: 'a', session },
      { type: 'send', id: 'm', session, content: '/demo count=240 rate=40 ttft=0' },
    )
    await reader.when(() => events(reader, session, 'run.output').length > 5)
    const before = await Scrape.of(first.port)
    expect(before.by(FIRST_TOKEN, 'door')).toEqual({ websocket: 1 })
    expect(before.sum('parley_runs_active', { node: 'first' })).toBe(1)
    const second = await start({ ...common, PARLEY_NODE: 'second', PARLEY_ROLE: 'worker' })
    await first.kill()
    await reader.when(() => events(reader, session, 'run.ended').length > 0)

    const scrape = await scraped(second, 1)
    expect(scrape.by('parley_runs_total', 'door', { outcome: 'completed', node: 'second' })).toEqual({ websocket: 1 })
    // The first node has counted the first token.
    expect(scrape.sum(FIRST_TOKEN)).toBe(0)
    expect(scrape.sum('parley_run_takeovers_total')).toBe(1)
    expect(scrape.sum('parley_run_failover_pause_seconds_count', { door: 'websocket' })).toBe(1)
    expect(scrape.sum('parley_run_failover_pause_seconds_sum')).toBeGreaterThan(0.1)

    // Nobody reads this run. The node where it ends has no readers, and asks the other nodes.
    const headers = { Prefer: 'respond-async', 'Parley-Client': 'cli_1' }
    await post(gateway, '/v1/sessions/alone/messages', { content: ASK }, headers)
    await expect
      .poll(async () => (await Scrape.of(second.port)).by('parley_runs_abandoned_total', 'door'), WAIT)
      .toEqual({ job: 1 })
    // The gateway assigns the variant, and the worker counts it; the client of the first run sent no id.
    const variants = (await Scrape.of(second.port)).by('parley_runs_total', 'variant')
    expect(variants).toEqual({ '': 1, everybody: 1 })
    // Refusals and cancels have a variant, too.
    expect((await post(gateway, '/v1/sessions/alone/messages', { content: 7 }, headers)).status).toBe(400)
    await post(gateway, '/v1/sessions/long/messages', { content: '/demo count=5000 rate=50' }, headers)
    expect((await post(gateway, '/v1/sessions/long/cancel', {}, headers)).status).toBe(200)
    const atGateway = await Scrape.of(gateway.port)
    expect(atGateway.by('parley_refusals_total', 'variant', { door: 'http' })).toEqual({ everybody: 1 })
    expect(atGateway.by('parley_cancel_to_last_token_seconds_count', 'variant')).toEqual({ everybody: 1 })
    expect(atGateway.sum('parley_runs_total')).toBe(0)
    expect(atGateway.by('parley_attaches_total', 'kind')).toEqual({ new: 1 })
  })
})
