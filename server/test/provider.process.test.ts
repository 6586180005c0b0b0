// The main use cases with a third-party OpenAI-compatible server: streaming at its pace, a client tool, a redirect
// during an answer, its errors, and a crash of our server during an answer.
import { LLMock } from '@copilotkit/aimock'
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { StrictClient } from './strict-client.ts'

const STORY = 'A session is one durable, ordered log, and every reader reads it from there. '.repeat(4).trim()

let mock: LLMock
let server: ServerProcess

beforeAll(async () => {
  mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 6 })
  mock.onMessage('slow', { content: STORY }, { streamingProfile: { ttft: 10, tps: 20, jitter: 0 } })
  mock.onMessage('briefly', { content: 'In short: a log.' })
  mock.onMessage('cut', { content: STORY }, { truncateAfterChunks: 6, latency: 5 })
  mock.onMessage('limited', { error: { message: 'slow down', type: 'rate_limit_error' }, status: 429 })
  mock.onMessage('weather', { toolCalls: [{ name: 'weather', arguments: '{"city":"Oslo"}' }] })
  await mock.start()
  server = await ServerProcess.start({
    PARLEY_MODEL: 'compatible:mock',
    PARLEY_MODELS: 'compatible:mock,compatible:other,demo',
    PARLEY_COMPATIBLE_URL: `${mock.url}/v1`,
    PARLEY_COMPATIBLE_KEY: 'k',
  })
})
afterAll(async () => {
  await server.dispose()
  await mock.stop()
})

async function attached(session: string, more: Record<string, unknown> = {}): Promise<StrictClient> {
  const client = new StrictClient(server.url)
  await client.connect()
  await client.attach(session, more)
  return client
}

describe('a real provider', () => {
  it('is streamed without delay', async () => {
    const client = await attached('paced')
    const { run = '' } = await client.send('paced', 'slow')
    const picture = await client.ended('paced', run)
    expect(picture.text).toBe(STORY)
    // 56 chunks, one every 50 ms. A busy machine may merge several into one output, but never all.
    expect(picture.next).toBeGreaterThan(3)
    expect(picture.ended).toMatchObject({ reason: 'completed', usage: { outputTokens: expect.any(Number) } })
    expect(client.session('paced').faults).toEqual([])
    client.drop()
  })

  it('can be redirected during an answer', async () => {
    const client = await attached('redirect')
    const output = client.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output')
    const first = await client.send('redirect', 'slow')
    await output
    const second = await client.send('redirect', 'briefly', { policy: 'interrupt' })
    expect((await client.ended('redirect', first.run ?? '')).ended?.reason).toBe('superseded')
    expect((await client.ended('redirect', second.run ?? '')).text).toBe('In short: a log.')
    client.drop()
  })

  it("calls a client's tool, and gets its result", async () => {
    const tools = [{ name: 'weather', inputSchema: { type: 'object', properties: { city: { type: 'string' } } } }]
    const client = await attached('tools', { tools })
    const called = client.frame((frame) => frame.type === 'entry' && frame.event.type === 'tool.called')
    const { run = '' } = await client.send('tools', 'weather')
    const frame = await called
    if (frame.type !== 'entry' || frame.event.type !== 'tool.called') throw new Error('not a call')
    expect(frame.event).toMatchObject({ name: 'weather', input: { city: 'Oslo' }, where: 'client' })
    const { call } = frame.event
    await client.command({ type: 'tool.claim', id: makeId('c'), session: 'tools', call })
    const before = mock.getRequests().length
    await client.command({ type: 'tool.result', id: makeId('c'), session: 'tools', call, output: { sky: 'clear' } })
    // The mock answers every request of this conversation with the call, so only the step limit would end it.
    while (mock.getRequests().length === before) await client.frame((next) => next.type === 'entry')
    expect(JSON.stringify(mock.getRequests().at(-1))).toContain('clear')
    await client.command({ type: 'cancel', id: makeId('c'), session: 'tools', run })
    client.drop()
  })

  it.each([
    ['that interrupts its answer', 'cut', 'provider_disconnected'],
    ['with a permanent rate limit', 'limited', 'provider_rate_limited'],
  ])('%s ends the run with a typed error', async (_, message, code) => {
    const client = await attached(message)
    const { run = '' } = await client.send(message, message)
    expect((await client.ended(message, run)).ended).toMatchObject({ reason: 'failed', error: { code } })
    client.drop()
  })

  it('is selected by the message, within the allow-list', async () => {
    const client = await attached('choice')
    const started = client.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.started')
    const { run = '' } = await client.send('choice', 'briefly', { model: 'compatible:other' })
    expect(await started).toMatchObject({ event: { model: 'compatible:other' } })
    await client.ended('choice', run)
    await expect(client.send('choice', 'briefly', { model: 'compatible:none' })).rejects.toThrow(/model_not_allowed/)
    client.drop()
  })

  it('answers again if the server died during its answer', async () => {
    const client = await attached('crash')
    const output = client.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output')
    const { run = '' } = await client.send('crash', 'slow')
    await output
    await server.kill()
    await server.start()
    await client.connect()
    await client.attach('crash')
    const picture = await client.ended('crash', run)
    expect(picture.text).toBe(STORY)
    expect(picture.ended?.reason).toBe('completed')
    expect(client.session('crash').faults).toEqual([])
    client.drop()
  })
})
