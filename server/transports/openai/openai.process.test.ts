// OpenAI's client with two real nodes and one NATS: a response that was created at one node can be streamed from any
// event, continued and cancelled at the other, and survives the loss of its node.
import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../../bench/cluster/server-process.ts'
import { demoCount } from '../../test/strict-client.ts'

let nats: NatsServer
/** Keyed by name, because the order in which they start varies. */
const nodes = new Map<string, ServerProcess>()

async function node(name: string): Promise<OpenAI> {
  const started = await ServerProcess.start({
    PARLEY_DRAIN: '1',
    PARLEY_ACK_WAIT_MS: '1000',
    PARLEY_NATS_URL: nats.url,
    PARLEY_NATS_PREFIX: 'openai',
    PARLEY_NODE: name,
  })
  nodes.set(name, started)
  return new OpenAI({ apiKey: 'none', baseURL: `http://127.0.0.1:${started.port}/v1`, maxRetries: 0 })
}

let one: OpenAI
let two: OpenAI
beforeAll(async () => {
  nats = await NatsServer.start()
  ;[one, two] = await Promise.all([node('one'), node('two')])
})
afterAll(async () => {
  await Promise.all([...nodes.values()].map((each) => each.dispose()))
  await nats.dispose()
})

/** Reads some events, and disconnects. */
async function take(stream: AsyncIterable<ResponseStreamEvent>, count: number): Promise<ResponseStreamEvent[]> {
  const events: ResponseStreamEvent[] = []
  for await (const event of stream) {
    events.push(event)
    if (events.length === count) break
  }
  return events
}

async function create(
  at: OpenAI,
  input: string,
): Promise<{ readonly id: string; readonly events: ResponseStreamEvent[] }> {
  const stream = await at.responses.create({ model: 'demo', input, background: true, stream: true })
  const events = await take(stream, 1)
  const [created] = events
  return { id: created?.type === 'response.created' ? created.response.id : '', events }
}

/** Reads to the end at alternating nodes, a few events at a time. */
async function readAlternating(at: readonly OpenAI[], id: string, events: ResponseStreamEvent[]): Promise<void> {
  for (let turn = 0; events.at(-1)?.type !== 'response.completed'; turn += 1) {
    const after = events.at(-1)?.sequence_number ?? -1
    const reader = at[turn % at.length] as OpenAI
    events.push(...(await take(await reader.responses.retrieve(id, { stream: true, starting_after: after }), 1 + turn)))
  }
}

async function all(at: OpenAI, id: string): Promise<ResponseStreamEvent[]> {
  return take(await at.responses.retrieve(id, { stream: true }), Number.POSITIVE_INFINITY)
}

it('streams the same events at alternating nodes', async () => {
  const { id, events } = await create(one, '/demo count=60 rate=60 ttft=50 reasoning=5')
  await readAlternating([two, one], id, events)
  const [atOne, atTwo] = await Promise.all([all(one, id), all(two, id)])
  expect(events).toEqual(atOne)
  expect(atTwo).toEqual(atOne)
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, at) => at))
  for (const after of [0, 7, events.length - 2, events.length - 1]) {
    const rest = await take(await two.responses.retrieve(id, { stream: true, starting_after: after }), 10_000)
    expect(rest).toEqual(events.slice(after + 1))
  }
})

it('continues and cancels responses at the other node', async () => {
  const first = await one.responses.create({ model: 'demo', input: '/demo count=3 rate=0' })
  const next = await two.responses.create({
    model: 'demo',
    input: '/demo count=4 rate=0',
    previous_response_id: first.id,
  })
  expect(next.output_text).toBe(demoCount(4))
  const { id } = await create(one, '/demo count=5000 rate=50 ttft=0')
  const cancelled = await two.responses.cancel(id)
  expect(cancelled.status).toBe('cancelled')
  const [atOne, atTwo] = await Promise.all([one.responses.retrieve(id), two.responses.retrieve(id)])
  expect(atOne).toEqual(atTwo)
  expect(atOne).toMatchObject({ status: 'cancelled', output: cancelled.output })
})

it('survives the loss of its node', async () => {
  const { id, events } = await create(one, '/demo count=120 rate=60 ttft=0')
  events.push(...(await take(await one.responses.retrieve(id, { stream: true, starting_after: 0 }), 12)))
  await nodes.get('one')?.kill()
  await readAlternating([two], id, events)
  expect(await all(two, id)).toEqual(events)
  const texts = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''))
  expect(texts.join('')).toBe(demoCount(120))
})
