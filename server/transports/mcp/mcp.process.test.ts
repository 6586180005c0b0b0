// The official client with two real nodes and one NATS: a legacy call whose node dies continues on the other one, and a legacy
// session and a question of a modern call are valid on both.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../../bench/cluster/server-process.ts'
import { demoCount } from '../../test/strict-client.ts'
import { ACCEPT, answerOf, type Json, MODERN, meta, request } from './test/mcp-harness.ts'

const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } }

let nats: NatsServer
let one: ServerProcess
let two: ServerProcess

const start = (name: string) =>
  ServerProcess.start({
    PARLEY_DRAIN: '1',
    PARLEY_ACK_WAIT_MS: '1000',
    PARLEY_NATS_URL: nats.url,
    PARLEY_NATS_PREFIX: 'mcp',
    PARLEY_NODE: name,
  })

beforeAll(async () => {
  nats = await NatsServer.start()
  ;[one, two] = await Promise.all([start('one'), start('two')])
})
afterAll(async () => {
  await Promise.all([one, two].map((each) => each.dispose()))
  await nats.dispose()
})

const COUNT = 60
const ASK = `/demo count=${COUNT} rate=30 ttft=0`

/** The result of a modern request of a client that knows tasks. */
async function modern(method: string, params: Json, node: ServerProcess): Promise<Json> {
  const response = await fetch(`http://127.0.0.1:${node.port}/mcp`, {
    method: 'POST',
    headers: {
      Accept: ACCEPT,
      'Content-Type': 'application/json',
      'MCP-Protocol-Version': MODERN,
      'Mcp-Method': method,
      'Mcp-Name': String(params.name ?? params.taskId),
    },
    body: JSON.stringify(request(method, { ...params, _meta: meta({}, TASKS) })),
  })
  const [message] = (await answerOf(response)).messages
  return (message as { result: Json }).result
}

it('a legacy client cancels a call, in a session that it names, at a node that did not get it', async () => {
  const post = (node: ServerProcess, body: Json, headers: Json = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${node.port}/mcp`, {
      method: 'POST',
      headers: { Accept: ACCEPT, 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const opened = await post(one, request('initialize', { protocolVersion: '2025-11-25', capabilities: {} }))
  const session = { 'Mcp-Session-Id': opened.headers.get('mcp-session-id') ?? '' }
  const call = { name: 'ask', arguments: { message: '/demo count=100000 rate=20 ttft=0', session: 'cancelled' } }
  const called = await post(one, request('tools/call', call, 7), session)
  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } }
  expect((await post(two, cancel, session)).status).toBe(202)
  // The stream ends without an answer.
  expect((await answerOf(called)).messages).toEqual([])
  const runs = async () => {
    const snapshot = await fetch(`http://127.0.0.1:${two.port}/v1/sessions/cancelled`)
    return ((await snapshot.json()) as { messages?: Json[] }).messages?.map(({ state }) => state)
  }
  await expect.poll(runs, { timeout: 20_000 }).toContain('cancelled')
}, 60_000)

it('a legacy client resumes a call, and a task continues, on another node when its node is killed', async () => {
  let target = one
  const requests: string[] = []
  // As a load balancer does: each request goes to a node that lives.
  const transport = new StreamableHTTPClientTransport(new URL('http://parley.test/mcp'), {
    fetch: async (_, init) => {
      requests.push(`${init?.method ?? 'GET'} ${target === one ? 'one' : 'two'}`)
      return fetch(`http://127.0.0.1:${target.port}/mcp`, init)
    },
    reconnectionOptions: {
      initialReconnectionDelay: 50,
      maxReconnectionDelay: 200,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 50,
    },
  })
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(transport)
  const task = await modern('tools/call', { name: 'ask', arguments: { message: ASK, keep: true } }, one)
  const progress: number[] = []
  let text = ''
  const call = { name: 'ask', arguments: { message: ASK } }
  const result = await client.callTool(call, {
    timeout: 40_000,
    onprogress: (each) => {
      progress.push(each.progress)
      text += each.message
      if (progress.length === 10) {
        target = two
        void one.kill()
      }
    },
  })
  expect(result.structuredContent).toMatchObject({ text: demoCount(COUNT), state: 'completed' })
  expect(demoCount(COUNT).startsWith(text.slice(0, 20))).toBe(true)
  expect(progress).toEqual([...new Set(progress)].sort((a, b) => a - b))
  expect(requests).toContain('GET two')
  // The session of the dead node is known here, too.
  expect((await client.listTools()).tools).toHaveLength(1)
  await client.close()
  await expect
    .poll(() => modern('tasks/get', { taskId: task.taskId }, two), { timeout: 20_000 })
    .toMatchObject({ status: 'completed', result: { structuredContent: { text: demoCount(COUNT) } } })
}, 60_000)
