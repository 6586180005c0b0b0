// Traces of real nodes, sent to a real receiver: one message is one trace, over all nodes that accept it or drive its
// run, and no span contains text of users or models.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { EntryFrame } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { TestClient } from '../transports/test/test-client.ts'
import { type CollectedSpan, TraceCollector } from './trace-collector.ts'

const WAIT = { timeout: 20_000, interval: 20 }
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CALLER = 'b7ad6b7169203331'
const TRACEPARENT = `00-${TRACE}-${CALLER}-01`
/** Text of users and models, which must not appear in a span. */
const SECRET = 'heliotrope'

const started: ServerProcess[] = []
const clients: TestClient[] = []
let collector: TraceCollector
beforeAll(async () => {
  collector = await TraceCollector.start()
})
afterAll(() => collector.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await Promise.all(started.splice(0).map((node) => node.dispose()))
})

async function start(settings: Readonly<Record<string, string>>, endpoint = collector.url): Promise<ServerProcess> {
  const node = await ServerProcess.start({
    PARLEY_TRACES: 'otlp',
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    ...settings,
  })
  started.push(node)
  return node
}

async function enter(node: ServerProcess, headers: Record<string, string> = {}): Promise<TestClient> {
  const client = new TestClient(node.url, { headers })
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
  return response.text()
}

function events<T extends EntryFrame['event']['type']>(client: TestClient, session: string, type: T) {
  type Event = Extract<EntryFrame['event'], { type: T }>
  return client.entries(session).flatMap(({ event }) => (event.type === type ? [event as Event] : []))
}

/** Resolves with the spans of a session when those of `drivers` drivers are there; a driver's span is sent last. */
async function spansOf(session: string, drivers = 1): Promise<CollectedSpan[]> {
  const of = () => collector.spans.filter(({ attributes }) => attributes['gen_ai.conversation.id'] === session)
  const isThere = () =>
    of().some(({ name }) => name === 'send') && of().filter(({ name }) => name === 'invoke_agent').length >= drivers
  await expect.poll(isThere, WAIT).toBe(true)
  return of()
}

function one(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const [span, ...others] = spans.filter((candidate) => candidate.name === name)
  if (span === undefined || others.length > 0) throw new Error(`${others.length + (span ? 1 : 0)} spans named ${name}`)
  return span
}

describe('over two nodes', () => {
  let nats: NatsServer
  beforeAll(async () => {
    nats = await NatsServer.start()
  })
  afterAll(() => nats.dispose())

  const common = () => ({ PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: 'traces', PARLEY_ACK_WAIT_MS: '1000' })

  it('a message is one trace, from the command through queue, model and tool to its end', async () => {
    const gateway = await start({ ...common(), PARLEY_NODE: 'gateway', PARLEY_ROLE: 'gateway' })
    await start({ ...common(), PARLEY_NODE: 'worker', PARLEY_ROLE: 'worker' })
    const client = await enter(gateway)
    const session = 'tool'
    client.send({ type: 'attach', id: 'a', session, tools: [{ name: 'lamp', inputSchema: { type: 'object' } }] })
    await client.next('live')
    const content = `/demo count=5 rate=0 tool=lamp input={"is":"${SECRET}"} tool=${SECRET}`
    client.send({ type: 'send', id: 'm', session, content, trace: TRACEPARENT })
    const offered = () => events(client, session, 'tool.called').find(({ where }) => where === 'client')
    await client.when(() => offered() !== undefined)
    const { call = '' } = offered() ?? {}
    client.send({ type: 'tool.claim', id: 'c', session, call })
    client.send({ type: 'tool.result', id: 'r', session, call, output: { said: SECRET } })
    await client.when(() => events(client, session, 'run.ended').length > 0)
    expect(events(client, session, 'run.ended')[0]?.reason).toBe('completed')

    const spans = await spansOf(session)
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
    const send = one(spans, 'send')
    expect(send).toMatchObject({ parent: CALLER, kind: 2, node: 'gateway', service: 'parley', status: 0 })
    expect(send.attributes).toMatchObject({ 'parley.door': 'websocket', 'parley.policy': 'queue' })
    // The log has the server's span, as the parent for the driver.
    expect(events(client, session, 'message')[0]?.trace).toBe(`00-${TRACE}-${send.spanId}-01`)

    const driver = one(spans, 'invoke_agent')
    expect(driver).toMatchObject({ parent: send.spanId, node: 'worker', status: 0, events: ['first token'] })
    expect(driver.attributes).toMatchObject({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.provider.name': 'parley.demo',
      'gen_ai.request.model': 'demo',
      'parley.run.epoch': 1,
      'parley.run.mode': 'new',
      'parley.run.outcome': 'completed',
      'gen_ai.usage.output_tokens': expect.any(Number),
    })
    const wait = one(spans, 'wait in queue')
    expect(wait).toMatchObject({ parent: send.spanId, node: 'worker' })
    expect(wait.end).toBeGreaterThanOrEqual(wait.start)

    const chats = spans.filter(({ name }) => name === 'chat demo')
    expect(chats).toHaveLength(2)
    for (const chat of chats) expect(chat).toMatchObject({ parent: driver.spanId, kind: 3, node: 'worker', status: 0 })
    expect(chats.map(({ attributes }) => attributes['parley.finish_reason'])).toEqual(['tool-calls', 'stop'])

    const tool = one(spans, 'execute_tool lamp')
    expect(tool).toMatchObject({ parent: driver.spanId, status: 0 })
    expect(tool.attributes).toMatchObject({ 'gen_ai.tool.call.id': call, 'parley.tool.where': 'client' })
    // A tool name that the model has invented is model text.
    expect(one(spans, 'execute_tool unknown')).toMatchObject({ status: 2, attributes: { 'error.type': 'tool_error' } })
    expect(collector.paths).toEqual(new Set(['POST /v1/traces application/json']))
  })

  it('the trace continues when another node takes over the run', async () => {
    const gateway = await start({ ...common(), PARLEY_NODE: 'gateway', PARLEY_ROLE: 'gateway' })
    const first = await start({ ...common(), PARLEY_NODE: 'first', PARLEY_ROLE: 'worker' })
    const client = await enter(gateway)
    const session = 'moved'
    client.send(
      { type: 'attach', id: 'a', session },
      { type: 'send', id: 'm', session, content: '/demo count=240 rate=40 ttft=0' },
    )
    await client.when(() => events(client, session, 'run.output').length > 5)
    // In this order: the run could end while the second node starts.
    await first.kill()
    await start({ ...common(), PARLEY_NODE: 'second', PARLEY_ROLE: 'worker' })
    await client.when(() => events(client, session, 'run.ended').length > 0)

    const spans = await spansOf(session)
    const send = one(spans, 'send')
    // The killed node lost its spans. The message has no trace context, so its span is the root.
    expect(send.parent).toBe('')
    const driver = one(spans, 'invoke_agent')
    expect(driver).toMatchObject({
      traceId: send.traceId,
      parent: send.spanId,
      node: 'second',
      events: ['first token'],
    })
    expect(driver.attributes).toMatchObject({ 'parley.run.epoch': 2, 'parley.run.mode': 'continue' })
    // The first node had measured the queue wait, and may have sent it.
    expect(spans.filter(({ name, node }) => name === 'wait in queue' && node !== 'first')).toEqual([])
  })
})

describe('one node', () => {
  it('uses the trace context of a request or a connection, and marks a failed model call as an error', async () => {
    const node = await start({ PARLEY_NODE: 'solo', PARLEY_METRICS: 'off' })
    const failing = { content: '/demo count=5 rate=0 fail=3' }
    await post(node, '/v1/sessions/failing/messages', failing, { traceparent: TRACEPARENT })
    const failed = await spansOf('failing')
    expect(one(failed, 'send').parent).toBe(CALLER)
    const error = { status: 2, attributes: { 'error.type': 'provider_error' } }
    expect(one(failed, 'chat demo')).toMatchObject(error)
    expect(one(failed, 'invoke_agent')).toMatchObject({ ...error, events: ['first token'] })

    // Before the first token a failed call is retried; each attempt is a span.
    await post(node, '/v1/sessions/tried/messages', { content: '/demo count=5 rate=0 fail=0' })
    const tries = (await spansOf('tried')).filter(({ name }) => name === 'chat demo')
    expect(tries.map(({ attributes }) => attributes['parley.attempt'])).toEqual([1, 2, 3])
    expect(tries).toEqual(tries.map(() => expect.objectContaining({ status: 2 })))

    const client = await enter(node, { traceparent: TRACEPARENT })
    client.send({ type: 'attach', id: 'a', session: 'ws' })
    client.send({ type: 'send', id: 'm', session: 'ws', content: '/demo count=3 rate=0' })
    await client.when(() => events(client, 'ws', 'run.ended').length > 0)
    expect(one(await spansOf('ws'), 'send').parent).toBe(CALLER)

    // An invalid trace context is ignored. A repeated message finds the run in its first trace.
    const again = { 'Idempotency-Key': 'again', traceparent: '00-heliotrope-01' }
    await post(node, '/v1/sessions/again/messages', { content: '/demo count=3 rate=0' }, again)
    await post(node, '/v1/sessions/again/messages', { content: '/demo count=3 rate=0' }, again)
    await expect.poll(() => collector.named('send').filter((span) => isOf(span, 'again')).length, WAIT).toBe(2)
    const sends = collector.named('send').filter((span) => isOf(span, 'again'))
    expect(sends.map(({ parent }) => parent)).toEqual(['', ''])
    expect(sends.map(({ attributes }) => attributes['parley.duplicate'])).toEqual([undefined, true])
    expect(one(await spansOf('again'), 'invoke_agent').parent).toBe(sends[0]?.spanId)
  })

  it('marks a refused message as an error, and records the outcome of a cancelled run', async () => {
    const node = await start({ PARLEY_NODE: 'solo' })
    const client = await enter(node)
    client.send({ type: 'attach', id: 'a', session: 's' })
    client.send({ type: 'send', id: 'm', session: 's', content: '/demo count=5000 rate=50' })
    await client.when(() => events(client, 's', 'run.output').length > 2)
    client.send({ type: 'send', id: 'm2', session: 's', content: 'No.', policy: 'reject' })
    await client.next('error', 'm2')
    client.send({ type: 'cancel', id: 'c', session: 's' })
    await client.next('ok', 'c')
    const spans = await spansOf('s')
    expect(one(spans, 'invoke_agent')).toMatchObject({ status: 0, attributes: { 'parley.run.outcome': 'cancelled' } })
    expect(one(spans, 'chat demo')).toMatchObject({ status: 0, attributes: { 'parley.finish_reason': 'stopped' } })
    await expect.poll(() => spans.concat(collector.named('send')).some(isRefused), WAIT).toBe(true)
  })

  it('sends no text of users or models, and flushes its spans on shutdown', async () => {
    const node = await start({ PARLEY_NODE: 'last', OTEL_BSP_SCHEDULE_DELAY: '60000' })
    // The demo model repeats unknown options in its answer.
    const content = `/demo ${SECRET}`
    const answer = await post(node, '/v1/sessions/quiet/messages', { content, context: { instructions: SECRET } })
    expect(answer).toContain(SECRET)
    expect(collector.spans.some((span) => isOf(span, 'quiet'))).toBe(false)
    await node.stop()
    expect(collector.spans.filter((span) => isOf(span, 'quiet')).length).toBeGreaterThanOrEqual(4)
    // Everything received during all tests.
    expect(collector.text).not.toContain(SECRET)
  })

  it('follows the sampler, with and without a caller’s decision', async () => {
    const node = await start({ PARLEY_NODE: 'choosy', OTEL_TRACES_SAMPLER: 'parentbased_always_off' })
    const ask = { content: '/demo count=2 rate=0' }
    await post(node, '/v1/sessions/unasked/messages', ask)
    await post(node, '/v1/sessions/unsampled/messages', ask, { traceparent: `00-${TRACE}-${CALLER}-00` })
    await post(node, '/v1/sessions/sampled/messages', ask, { traceparent: TRACEPARENT })
    await spansOf('sampled')
    await node.stop()
    expect(collector.spans.filter((span) => isOf(span, 'unasked') || isOf(span, 'unsampled'))).toEqual([])
  })

  it('continues without a collector, or with one that never answers, and logs it once', async () => {
    const mute = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const silent = `http://127.0.0.1:${(mute.address() as AddressInfo).port}`
    for (const endpoint of ['http://127.0.0.1:1', silent]) {
      const limits = {
        OTEL_EXPORTER_OTLP_TIMEOUT: '300',
        OTEL_BSP_MAX_QUEUE_SIZE: '8',
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '4',
      }
      const node = await start({ PARLEY_NODE: 'alone', ...limits }, endpoint)
      const warnings = () => node.logs.filter((line) => line.includes('trace export failed'))
      for (let i = 0; i < 10; i++) await post(node, `/v1/sessions/n${i}/messages`, { content: '/demo count=2 rate=0' })
      await expect.poll(() => warnings().length, WAIT).toBe(1)
      await node.stop()
      expect(warnings()).toHaveLength(1)
    }
    mute.closeAllConnections()
    mute.close()
  })
})

function isOf({ attributes }: CollectedSpan, session: string): boolean {
  return attributes['gen_ai.conversation.id'] === session
}

function isRefused({ name, status, attributes }: CollectedSpan): boolean {
  return name === 'send' && status === 2 && attributes['error.type'] === 'run_active'
}
