// Tests an experiment from end to end: a server assigns variants, clients follow, metrics distinguish the variants, and
// the report compares them. The server has no authentication, so that clients are identified by their own ids.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { METRICS, Scrape } from '../../server/test/scrape.ts'
import { type ClientOptions, type DoorStorage, ParleyClient } from '../index.ts'
import { Middlebox, type Rules } from './middlebox.ts'
import { until } from './until.ts'

const REPORT = fileURLToPath(new URL('../../server/dist/metric/report/main.js', import.meta.url))
const EXPERIMENT = 'first-door: control=50:auto, sse-first=50:sse>websocket'
const CONNECT = { reconnect: { baseMs: 20, maxMs: 200 }, doors: { timeoutMs: 1_000, stallMs: 1_000, probeMs: 900_000 } }
const ASK = '/demo count=3 rate=0 ttft=0'
/** For effects without an event to await. */
const WAIT = { timeout: 20_000, interval: 20 }

let server: ServerProcess
/** A client id in each variant. */
let ids: Readonly<Record<'control' | 'sse-first', string>>
let folder: string
const clients: ParleyClient[] = []
const boxes: Middlebox[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-experiment-'))
  server = await ServerProcess.start({ ...METRICS, PARLEY_EXPERIMENT: EXPERIMENT })
  ids = { control: await idIn('control'), 'sse-first': await idIn('sse-first') }
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await Promise.all(boxes.map((box) => box.close()))
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

interface Hello {
  readonly experiment?: { readonly name: string; readonly variant: string; readonly doors?: readonly string[] }
}

async function hello(id?: string): Promise<Hello> {
  const response = await fetch(`${url()}/v1/hello`, id === undefined ? {} : { headers: { 'Parley-Client': id } })
  return (await response.json()) as Hello
}

async function idIn(variant: string): Promise<string> {
  for (let i = 0; ; i += 1) if ((await hello(`cli_${i}`)).experiment?.variant === variant) return `cli_${i}`
}

function url(): string {
  return `http://127.0.0.1:${server.port}`
}

async function box(rules: Partial<Rules> = {}): Promise<Middlebox> {
  const made = await Middlebox.open(server.port, rules)
  boxes.push(made)
  return made
}

/** @param id that the client's storage has from earlier */
function connect(gate: Middlebox, id: string, options: Partial<ClientOptions> = {}): ParleyClient {
  const kept = new Map([[`parley.client:${gate.url}`, id]])
  const storage: DoorStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
  }
  const client = new ParleyClient({ url: gate.url, storage, ...CONNECT, ...options })
  clients.push(client)
  return client
}

async function asked(client: ParleyClient, session: string): Promise<string> {
  let whole = ''
  for await (const text of client.session(session).send(ASK).text()) whole += text
  return whole
}

async function post(id: string, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const all = { 'Content-Type': 'application/json', 'Parley-Client': id, ...headers }
  const response = await fetch(`${url()}${path}`, { method: 'POST', headers: all, body: JSON.stringify(body) })
  await response.text()
  return response.status
}

/** Resolves with the metrics once there are this many runs. */
async function counted(runs: number): Promise<Scrape> {
  await expect.poll(async () => (await Scrape.of(server.port)).sum('parley_runs_total'), WAIT).toBe(runs)
  return Scrape.of(server.port)
}

describe('clients', () => {
  it('start with the transport of their variant, and send nothing over another one', async () => {
    const [one, other] = [await box(), await box()]
    const [control, first] = [connect(one, ids.control), connect(other, ids['sse-first'])]
    expect(await Promise.all([asked(control, 'c'), asked(first, 'f')])).toEqual(['0 1 2', '0 1 2'])
    expect(control.state.transport).toEqual({ door: 'websocket', moves: 0 })
    expect(first.state.transport).toEqual({ door: 'sse', moves: 0 })
    expect([control, first].map(({ state }) => state.experiment?.variant)).toEqual(['control', 'sse-first'])
    expect([one.seen.streams, other.seen.streams]).toEqual([0, 1])

    const scrape = await counted(2)
    expect(scrape.by('parley_runs_total', 'door', { variant: 'control' })).toEqual({ websocket: 1 })
    expect(scrape.by('parley_runs_total', 'door', { variant: 'sse-first' })).toEqual({ sse: 1 })
    expect(scrape.by('parley_attaches_total', 'door', { variant: 'control' })).toEqual({ websocket: 1 })
    expect(scrape.by('parley_attaches_total', 'door', { variant: 'sse-first' })).toEqual({ sse: 1 })
    await control.close()
    await first.close()
  })

  it('leave it if it is blocked, and stay in their variant', async () => {
    const gate = await box({ streams: 'refuse' })
    const client = connect(gate, ids['sse-first'])
    expect(await asked(client, 'blocked')).toBe('0 1 2')
    expect(client.state.transport).toMatchObject({ door: 'websocket', why: 'blocked' })
    const scrape = await counted(3)
    // The client may have posted the message before the stream was refused.
    expect(scrape.by('parley_runs_total', 'variant')).toEqual({ control: 1, 'sse-first': 2 })
    expect(scrape.by('parley_attaches_total', 'variant', { door: 'websocket' })).toEqual({ control: 1, 'sse-first': 1 })

    gate.cut()
    await until(client, ({ status, opens }) => status === 'open' && opens > 1)
    await expect
      .poll(
        async () => (await Scrape.of(server.port)).by('parley_attaches_total', 'variant', { kind: 'resumed' }),
        WAIT,
      )
      .toEqual({ 'sse-first': 1 })
    await client.close()
  })

  it('use a fixed transport in any variant', async () => {
    const client = connect(await box(), ids['sse-first'], { transport: 'long-poll' })
    expect(await asked(client, 'told')).toBe('0 1 2')
    expect(client.state.transport).toEqual({ door: 'long-poll', moves: 0 })
    await client.close()
  })
})

describe('the server', () => {
  it('assigns all clients that it can identify, over any transport, and always the same way', async () => {
    expect(await hello(ids['sse-first'])).toMatchObject({
      experiment: { name: 'first-door', variant: 'sse-first', doors: ['sse', 'websocket'] },
    })
    expect((await hello(ids.control)).experiment).toEqual({ name: 'first-door', variant: 'control' })
    expect((await hello()).experiment).toBeUndefined()
    expect((await hello('no id!')).experiment).toBeUndefined()

    const before = (await Scrape.of(server.port)).by('parley_runs_total', 'door', { variant: 'sse-first' })
    const id = ids['sse-first']
    const statuses = await Promise.all([
      post(id, '/v1/sessions/sse/messages', { content: ASK }, { Accept: 'text/event-stream' }),
      post(id, '/v1/sessions/ndjson/messages', { content: ASK }, { Accept: 'application/x-ndjson' }),
      post(id, '/v1/sessions/request/messages', { content: ASK }),
      post(id, '/jobs', { content: ASK }),
      post(id, '/v1/chat/completions', { model: 'demo', messages: [{ role: 'user', content: ASK }] }),
      post('no id!', '/v1/sessions/nobody/messages', { content: ASK }),
    ])
    expect(statuses).toEqual([200, 200, 200, 202, 200, 200])
    await expect
      .poll(async () => (await Scrape.of(server.port)).by('parley_runs_total', 'door', { variant: 'sse-first' }), WAIT)
      .toEqual({ ...before, sse: (before.sse ?? 0) + 1, ndjson: 1, request: 1, job: 1, openai: 1 })
    expect((await Scrape.of(server.port)).by('parley_runs_total', 'door', { variant: '' })).toEqual({ request: 1 })
  })
})

describe('the report', () => {
  it('distinguishes two different variants by the counts between two scrapes', async () => {
    const before = (await Scrape.of(server.port)).text
    const runs = 40
    const wait = { control: 0, 'sse-first': 1_000 }
    const statuses = await Promise.all(
      (['control', 'sse-first'] as const).flatMap((variant) =>
        Array.from({ length: runs }, (_, i) => {
          const content = `/demo count=2 rate=0 ttft=${wait[variant]}`
          return post(ids[variant], `/v1/sessions/${variant}-${i}/messages`, { content })
        }),
      ),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
    const total = new Scrape(before).sum('parley_runs_total') + 2 * runs
    const after = (await counted(total)).text
    for (const [name, text] of Object.entries({ before, after })) writeFileSync(join(folder, name), text)
    const files = ['--before', join(folder, 'before'), '--after', join(folder, 'after')]
    const words = [REPORT, ...files, '--by', 'variant', 'control', 'sse-first']
    const { stdout } = await promisify(execFile)(process.execPath, words)
    expect(stdout).toMatch(/^first token, p50 .* 40 \/ 40 +higher$/m)
    expect(stdout).toMatch(/^failed .* 40 \/ 40 +no difference seen$/m)
  })
})
