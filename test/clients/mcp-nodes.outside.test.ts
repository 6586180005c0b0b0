// The official MCP clients of both eras at two nodes with one NATS, behind a load balancer that sends any request to any node: a
// connection that is cut, an approval and the answer to a question that another node takes, a cancel that another node gets, and a
// task whose client and node are gone.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount } from '../../server/test/strict-client.ts'
import {
  ACCEPT,
  answerOf,
  connectClient,
  type Json,
  MODERN,
  type Mode,
  meta,
  request,
} from '../../server/transports/mcp/test/mcp-harness.ts'

let nats: NatsServer
let folder = ''
const nodes: ServerProcess[] = []
const [ONE, TWO] = [0, 1]

const start = (name: string): Promise<ServerProcess> =>
  ServerProcess.start({
    PARLEY_DRAIN: '1',
    PARLEY_ACK_WAIT_MS: '1000',
    PARLEY_NATS_URL: nats.url,
    PARLEY_NATS_PREFIX: 'mcp',
    PARLEY_NODE: name,
    PARLEY_CONFIG: join(folder, 'parley.config.mjs'),
  })

beforeAll(async () => {
  nats = await NatsServer.start()
  folder = mkdtempSync(join(tmpdir(), 'parley-mcp-nodes-'))
  const library = new URL('../../server/dist/index.js', import.meta.url)
  writeFileSync(
    join(folder, 'parley.config.mjs'),
    `import { defineTool } from '${library}'
const pay = defineTool({ name: 'pay', inputSchema: { type: 'object' }, approval: true, execute: () => 'paid' })
const schema = { type: 'object', properties: { size: { type: 'string', enum: ['S', 'M'] } }, required: ['size'] }
const order = defineTool({
  name: 'order',
  inputSchema: { type: 'object' },
  execute: async (_, { ask }) => JSON.stringify((await ask({ message: 'Which size?', schema })).content),
})
export default { tools: [pay, order], agents: { writer: {}, chief: { agents: ['writer'] } } }
`,
  )
  nodes.push(...(await Promise.all([start('one'), start('two')])))
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.dispose()))
  await nats?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const urlOf = (node: number): string => `http://127.0.0.1:${nodes[node]?.port}`

/** A load balancer, and the requests that it has passed on: `GET 1` went to the second node. */
class Balancer {
  target = ONE
  readonly requests: string[] = []
  /** Cuts the connections of open answers. */
  cut = (): void => undefined
  /** Called with the body of each POST, before it is passed on. */
  onPost: (body: { method?: string }) => void = () => undefined

  readonly fetch = async (_: unknown, init: RequestInit = {}): Promise<Response> => {
    const { method = 'GET', body, signal } = init
    if (method === 'POST') this.onPost(JSON.parse(String(body)))
    this.requests.push(`${method} ${this.target}`)
    const aborter = new AbortController()
    this.cut = () => aborter.abort()
    const signals = [aborter.signal, ...(signal == null ? [] : [signal])]
    return fetch(`${urlOf(this.target)}/mcp`, { ...init, signal: AbortSignal.any(signals) })
  }
}

const connect = (balancer: Balancer, mode: Mode, answer?: (message: string) => Json) =>
  connectClient(new URL('http://parley.test/mcp'), mode, answer, {
    fetch: balancer.fetch as never,
    reconnectionOptions: {
      initialReconnectionDelay: 50,
      maxReconnectionDelay: 200,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 100,
    },
  })

const asking = (message: string, more: Json = {}) => ({ name: 'ask', arguments: { message, ...more } })

/** The last run of a session, according to one node. */
async function runOf(node: number, session: string): Promise<Json> {
  const snapshot = (await (await fetch(`${urlOf(node)}/v1/sessions/${session}`)).json()) as { messages?: Json[] }
  return snapshot.messages?.findLast(({ role }) => role === 'assistant') ?? {}
}

async function modern(node: number, method: string, params: Json, capabilities: Json): Promise<Json> {
  const response = await fetch(`${urlOf(node)}/mcp`, {
    method: 'POST',
    headers: {
      Accept: ACCEPT,
      'Content-Type': 'application/json',
      'MCP-Protocol-Version': MODERN,
      'Mcp-Method': method,
      'Mcp-Name': String(params.name ?? params.taskId),
    },
    body: JSON.stringify(request(method, { ...params, _meta: meta({}, capabilities) })),
  })
  const { messages } = await answerOf(response)
  return (messages.at(-1) as { result: Json }).result
}

const LEGACY: readonly [string, Mode][] = [
  ['1.32', 'first'],
  ['2.4, legacy', 'legacy'],
]
const BOTH: readonly [string, Mode][] = [...LEGACY, ['2.4, modern', { pin: MODERN }]]
const COUNT = 80

it.each(LEGACY)('a cut call is resumed on the other node, without a gap or a repetition (%s)', async (_, mode) => {
  const balancer = new Balancer()
  const client = await connect(balancer, mode)
  let text = ''
  const values: number[] = []
  const result = await client.callTool(asking(`/demo count=${COUNT} rate=20 ttft=0`), {
    timeout: 50_000,
    onprogress: ({ progress, message = '' }) => {
      values.push(progress)
      text += message
      if (values.length !== 10) return
      balancer.target = TWO
      balancer.cut()
    },
  })
  expect(result.structuredContent).toMatchObject({ text: demoCount(COUNT), state: 'completed' })
  expect(balancer.requests).toContain(`GET ${TWO}`)
  // The log keeps no single pieces after the end, so the last ones may come with the result only.
  expect(demoCount(COUNT).startsWith(text)).toBe(true)
  expect(text.length).toBeGreaterThan(demoCount(COUNT).length / 2)
  expect(values).toEqual([...new Set(values)].sort((a, b) => a - b))
  await client.close()
})

it.each(BOTH)('an approval that one node asks for is answered on the other (%s)', async (_, mode) => {
  const balancer = new Balancer()
  const client = await connect(balancer, mode, (message) => {
    expect(message).toContain('pay')
    balancer.target = TWO
    return { action: 'accept', content: { approve: true } }
  })
  const message = '/demo tool=pay input={"to":"Ann"} count=2 rate=0'
  const { structuredContent } = await client.callTool(asking(message), { timeout: 50_000 })
  expect(structuredContent).toMatchObject({ state: 'completed', text: expect.stringContaining('paid') })
  expect(balancer.requests).toContain(`POST ${TWO}`)
  await client.close()
})

it.each(BOTH)('a question of a child run that one node asks is answered on the other (%s)', async (_, mode) => {
  const balancer = new Balancer()
  const client = await connect(balancer, mode, (message) => {
    expect(message).toBe('Which size?')
    balancer.target = TWO
    return { action: 'accept', content: { size: 'M' } }
  })
  const message = '/demo ask=writer message="/demo tool=order input={} count=1 rate=0" count=1 rate=0'
  const { structuredContent } = await client.callTool(
    { name: 'ask_chief', arguments: { message } },
    { timeout: 50_000 },
  )
  expect(structuredContent).toMatchObject({ state: 'completed', text: expect.stringContaining('size') })
  expect(balancer.requests).toContain(`POST ${TWO}`)
  await client.close()
})

it.each(LEGACY)('a cancel that the other node gets ends the run (%s)', async (era, mode) => {
  const balancer = new Balancer()
  const client = await connect(balancer, mode)
  const session = `other-${era.replaceAll(/\W+/g, '-')}`
  const aborter = new AbortController()
  const called = client.callTool(asking('/demo count=100000 rate=20 ttft=0', { session }), {
    signal: aborter.signal,
    onprogress: () => {
      balancer.target = TWO
      aborter.abort()
    },
  })
  await expect(called).rejects.toThrow()
  await expect.poll(async () => (await runOf(TWO, session)).state).toBe('cancelled')
  expect(balancer.requests).toContain(`POST ${TWO}`)
  await client.close()
})

it.each(BOTH)('a cancel ends the run (%s)', async (era, mode) => {
  const balancer = new Balancer()
  const client = await connect(balancer, mode)
  const session = `cancelled-${era.replaceAll(/\W+/g, '-')}`
  const aborter = new AbortController()
  const called = client.callTool(asking('/demo count=100000 rate=20 ttft=0', { session }), {
    signal: aborter.signal,
    onprogress: () => aborter.abort(),
  })
  await expect(called).rejects.toThrow()
  await expect.poll(async () => (await runOf(TWO, session)).state).toBe('cancelled')
  await client.close()
})

it('a modern connection that breaks cancels its run, whichever node reads it', async () => {
  const balancer = new Balancer()
  const client = await connect(balancer, { pin: MODERN })
  const called = client.callTool(asking('/demo count=100000 rate=20 ttft=0', { session: 'broken' }), {
    timeout: 3_000,
    onprogress: () => balancer.cut(),
  })
  await expect(called).rejects.toThrow()
  await expect.poll(async () => (await runOf(TWO, 'broken')).state).toBe('cancelled')
  await client.close()
})

it('a cancel that reaches another node before the call is stored ends the run', async () => {
  const post = (node: number, body: object, headers: Json = {}): Promise<Response> =>
    fetch(`${urlOf(node)}/mcp`, {
      method: 'POST',
      headers: { Accept: ACCEPT, 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const opened = await post(ONE, request('initialize', { protocolVersion: '2025-11-25', capabilities: {} }))
  const session = { 'Mcp-Session-Id': opened.headers.get('mcp-session-id') ?? '' }
  const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'early' } }
  expect((await post(TWO, cancelled, session)).status).toBe(202)
  const call = request('tools/call', asking('/demo count=100000 rate=20 ttft=0'), 'early')
  // The stream ends without an answer.
  expect((await answerOf(await post(ONE, call, session))).messages).toEqual([])
})

const TASKS = { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } }

it('a task continues when its client and its node are gone, and asks on the other node', async () => {
  const ask = (message: string): Promise<Json> => modern(ONE, 'tools/call', asking(message, { keep: true }), TASKS)
  const counting = await ask(`/demo count=${COUNT} rate=15 ttft=0`)
  const paying = await ask('/demo tool=pay input={"to":"Ann"} count=2 rate=0')
  const get = (node: number, { taskId }: Json): Promise<Json> => modern(node, 'tasks/get', { taskId }, TASKS)
  await expect.poll(async () => (await get(ONE, paying)).status).toBe('input_required')
  // The first task is being written.
  expect((await get(ONE, counting)).status).toBe('working')
  await nodes[ONE]?.kill()
  expect(nodes[ONE]?.alive).toBe(false)
  const asked = await get(TWO, paying)
  const [call = ''] = Object.keys((asked.inputRequests ?? {}) as Json)
  const inputResponses = { [call]: { action: 'accept', content: { approve: true } } }
  await modern(TWO, 'tasks/update', { taskId: paying.taskId, inputResponses }, TASKS)
  await expect
    .poll(() => get(TWO, paying), { timeout: 40_000 })
    .toMatchObject({ status: 'completed', result: { structuredContent: { text: expect.stringContaining('paid') } } })
  await expect
    .poll(() => get(TWO, counting), { timeout: 40_000 })
    .toMatchObject({ status: 'completed', result: { structuredContent: { text: demoCount(COUNT) } } })
})
