// Nothing in a session makes its later messages fail. Over real sockets, against stand-ins that refuse what the services refuse. Each of
// these parts made every later message of its session fail.
import type { Part, RunEnded } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { createModelCatalog } from '../model/model-catalog.ts'
import { PROVIDERS } from '../model/model-config.ts'
import { provide } from '../model/test/model-at.ts'
import { beginSse, type ProviderServer, sendSse } from '../model/test/provider-server.ts'
import { OK, refusalOf, type Service } from '../model/test/strict-provider.ts'
import { ModelFailure } from './model-call.ts'
import { CALLER, EngineHarness } from './test/engine-harness.ts'

let harness: EngineHarness | undefined
afterEach(async () => {
  await harness?.dispose()
  harness = undefined
})

interface Running {
  readonly h: EngineHarness
  readonly server: ProviderServer
  /** Of each request, in order. */
  readonly refused: boolean[]
}

/** @param window the context window that Parley assumes */
async function start(service: Service, window?: number): Promise<Running> {
  const { provider } = service
  const refused: boolean[] = []
  const server = await provide(({ body, response }) => {
    const refusal = refusalOf(service, JSON.stringify(body))
    refused.push(refusal !== undefined)
    if (refusal !== undefined) {
      response.writeHead(refusal.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(refusal.body))
      return
    }
    beginSse(response)
    sendSse(response, OK[provider], provider === 'anthropic' ? (event) => (event as { type: string }).type : undefined)
    response.end(provider === 'compatible' ? 'data: [DONE]\n\n' : undefined)
  })
  const id = `${provider}:m`
  const contextTokens = window === undefined ? {} : { contextTokens: new Map([[id, window]]) }
  const config = { model: id, [provider]: { url: server.url, key: 'k' }, ...contextTokens }
  harness = await EngineHarness.start({ other: createModelCatalog(config).get() })
  return { h: harness, server, refused }
}

/** Sends a message to the strict model. @returns the end of its run */
async function ask(h: EngineHarness, content: string | Part[] = 'and now?'): Promise<RunEnded> {
  const { run } = await h.send('s', '', { content, model: 'other' })
  return h.event('s', 'run.ended', (event) => event.run === run)
}

/** A turn with a model that accepts everything. */
async function talk(h: EngineHarness, content: string | Part[], answer: string): Promise<void> {
  const { run } = await h.send('s', '', { content })
  const call = await h.model.next()
  if (answer !== '') call.text(answer)
  call.finish(answer === '' ? 'content-filter' : 'stop')
  await h.event('s', 'run.ended', (event) => event.run === run)
}

const POINT = { type: 'object', properties: { x: { type: 'number' } } }
const ZIP: Part = { type: 'file', mediaType: 'application/zip', name: 'a.zip', data: 'UEsDBA==' }
const PNG: Part = { type: 'file', mediaType: 'image/png', name: 'a.png', data: 'iVBORw==' }
const ZIP_OMITTED = { code: 'file_omitted', mediaType: 'application/zip', count: 1 }

describe.each(PROVIDERS)('%s', (provider) => {
  it('answers in a session with files, blank answers, invented tools, lost results and a refused message', async () => {
    const { h, server, refused } = await start({ provider })
    await talk(h, [{ type: 'text', text: ' ' }, ZIP], ' \n')
    // The model invents a tool.
    const { run } = await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('get weather!', 'not an object', 'p1')
    first.finish('tool-calls')
    const second = await h.model.next()
    second.finish()
    await h.event('s', 'run.ended', (event) => event.run === run)
    // A caller never sends the results of its tools, or sends results of nothing.
    const left = await h.send('s', 'where?', { context: { tools: [{ name: 'where' }] } })
    const third = await h.model.next()
    third.tool('where', {})
    third.finish('tool-calls')
    await h.event('s', 'run.ended', (event) => event.run === left.run)
    const history = [
      { role: 'assistant' as const, calls: [{ call: 'x'.repeat(200), name: '1x', input: null }] },
      { role: 'tool' as const, call: 'nobody', output: 'lost' },
    ]
    const lost = await h.send('s', 'so?', { context: { history } })
    const fourth = await h.model.next()
    fourth.text('so')
    fourth.finish()
    await h.event('s', 'run.ended', (event) => event.run === lost.run)
    await talk(h, 'something forbidden', '')

    const notices = expect.arrayContaining([ZIP_OMITTED, expect.objectContaining({ code: 'call_adapted' })])
    expect(await ask(h)).toMatchObject({ reason: 'completed', notices })
    expect(await ask(h, [ZIP])).toMatchObject({ reason: 'completed' })
    // The first request of each run is accepted.
    expect(refused).toEqual([false, false])
    expect(JSON.stringify(server.requests.at(-1)?.body)).not.toContain('something forbidden')
  })

  it('answers while clients are attached whose tools take something other than an object', async () => {
    const { h, server, refused } = await start({ provider })
    await h.service.attach('s', CALLER, [
      { name: 'text', inputSchema: { type: 'string' } },
      { name: 'maybe', inputSchema: { ...POINT, type: ['object', 'null'] } },
      { name: 'any', inputSchema: { anyOf: [POINT, { type: 'null' }] } },
      { name: 'one', inputSchema: { type: 'object', oneOf: [POINT, { required: ['y'] }] } },
      { name: 'all', inputSchema: { allOf: [POINT] } },
      { name: 'listed', inputSchema: { enum: [{ x: 1 }] } },
      { name: 'not', inputSchema: { ...POINT, not: { required: ['y'] } } },
      { name: 'long', description: 'd'.repeat(1_000), inputSchema: { type: 'array' } },
    ])
    expect(await ask(h)).toMatchObject({ reason: 'completed' })
    expect(await ask(h)).toMatchObject({ reason: 'completed' })
    expect(refused).toEqual([false, false])
    // The provider's cache covers the tools.
    const [first, second] = server.requests.map(({ body }) => JSON.stringify(body.tools))
    expect(second).toBe(first)
    for (const name of ['text', 'maybe', 'any', 'one', 'all', 'listed', 'not', 'long'])
      expect(first).toContain(`"${name}"`)
  })

  it('answers in a session that is longer than its window: after one refusal, or none if the window is configured', async () => {
    const service = { provider, window: 3_000 }
    for (const window of [undefined, 3_000]) {
      const { h, refused } = await start(service, window)
      for (let turn = 0; turn < 6; turn += 1) await talk(h, `${turn} ${'word '.repeat(500)}`, 'fine')
      const notices = [{ code: 'history_omitted', count: expect.any(Number) }]
      expect(await ask(h)).toMatchObject({ reason: 'completed', notices })
      expect(refused).toEqual(window === undefined ? [true, false] : [false])
      await h.dispose()
      harness = undefined
    }
  })

  it('refuses a message that is longer than its window, and answers the next one', async () => {
    const { h, refused } = await start({ provider, window: 2_000 })
    expect(await ask(h, 'word '.repeat(4_000))).toMatchObject({ reason: 'failed', error: { code: 'context_exceeded' } })
    // Nothing can be left out of it, so it is not sent again.
    expect(refused).toEqual([true])
    expect(await ask(h)).toMatchObject({ reason: 'completed', notices: [{ code: 'history_omitted', count: 1 }] })
  })
})

describe('a provider', () => {
  it('gets the properties of such a tool, and its schema in words', async () => {
    const { h, server } = await start({ provider: 'compatible' })
    const schema = { ...POINT, anyOf: [{ required: ['x'] }, { required: ['y'] }] }
    await h.service.attach('s', CALLER, [
      { name: 'draw', description: 'Draws.', inputSchema: schema, strict: true },
      { name: 'plain', inputSchema: POINT, strict: true },
    ])
    await ask(h)
    const words = `Draws.\n\nThe input must match this JSON Schema: ${JSON.stringify(schema)}`
    expect(server.requests[0]?.body).toMatchObject({
      tools: [
        { type: 'function', function: { name: 'draw', description: words, parameters: POINT } },
        { type: 'function', function: { name: 'plain', parameters: POINT, strict: true } },
      ],
    })
    expect(JSON.stringify(server.requests[0]?.body).match(/"strict":true/g)).toHaveLength(1)
  })

  it('that refuses images answers without them', async () => {
    const { h, refused } = await start({ provider: 'compatible', textOnly: true })
    const notices = [{ code: 'file_omitted', mediaType: 'image/png', count: 1 }]
    expect(await ask(h, [{ type: 'text', text: 'what is this?' }, PNG])).toMatchObject({ reason: 'completed', notices })
    expect(await ask(h)).toMatchObject({ reason: 'completed', notices })
    expect(refused).toEqual([true, false, true, false])
  })

  it('that refuses images in an answer with status 200 answers without them', async () => {
    const server = await provide(({ text, response }) => {
      const error = { error: { message: 'no images', type: 'BadRequestError', code: 400 } }
      beginSse(response)
      sendSse(response, text.includes('"image_url"') ? [error] : [...OK.compatible, '[DONE]'])
      response.end()
    })
    const config = { model: 'compatible:m', compatible: { url: server.url } }
    harness = await EngineHarness.start({ other: createModelCatalog(config).get() })
    const notices = [{ code: 'file_omitted', mediaType: 'image/png', count: 1 }]
    expect(await ask(harness, [PNG])).toMatchObject({ reason: 'completed', notices })
    expect(server.requests).toHaveLength(2)
  })

  it('that refuses images gets the calls whose results the message carries', async () => {
    const { h, server } = await start({ provider: 'compatible', textOnly: true })
    const history = [
      { role: 'user' as const, content: [PNG] },
      { role: 'assistant' as const, calls: [{ call: 'c', name: 'see', input: {} }] },
      { role: 'tool' as const, call: 'c', output: 'a dot' },
    ]
    const { run } = await h.send('s', '', { content: [], model: 'other', context: { history } })
    const notices = [{ code: 'file_omitted', mediaType: 'image/png', count: 1 }]
    expect(await h.event('s', 'run.ended', (event) => event.run === run)).toMatchObject({ notices })
    const messages = [
      { role: 'user' },
      { role: 'assistant', tool_calls: [{ id: 'c' }] },
      { role: 'tool', tool_call_id: 'c', content: 'a dot' },
    ]
    expect(server.requests.at(-1)?.body).toMatchObject({ messages })
  })

  it('that does not say how much fits gets half of it, as often as necessary', async () => {
    const { h, refused } = await start({ provider: 'openai', window: 1_500 })
    for (let turn = 0; turn < 20; turn += 1) await talk(h, `${turn} ${'word '.repeat(500)}`, 'fine')
    expect(await ask(h)).toMatchObject({ reason: 'completed', notices: [{ code: 'history_omitted' }] })
    expect(refused).toEqual([true, true, true, false])
    // The session's next message is not refused again.
    expect(await ask(h)).toMatchObject({ reason: 'completed', notices: [{ code: 'history_omitted' }] })
    expect(refused).toEqual([true, true, true, false, false])
  })

  it('that refuses the length has as many attempts for a passing failure as otherwise', async () => {
    const answers = [
      () => Response.json({ error: { message: 'context_length_exceeded' } }, { status: 400 }),
      () => Response.json({ error: { message: 'busy' } }, { status: 503 }),
      () => {
        const events = [...OK.compatible.map((event) => JSON.stringify(event)), '[DONE]'].map(
          (data) => `data: ${data}\n\n`,
        )
        return new Response(events.join(''), { headers: { 'content-type': 'text/event-stream' } })
      },
    ]
    const config = { model: 'compatible:m', compatible: { url: 'http://localhost' } }
    const answer = (async () => answers.shift()?.()) as typeof fetch
    harness = await EngineHarness.start({
      other: createModelCatalog(config, { fetch: answer }).get(),
      limits: { modelTries: 2 },
    })
    for (let turn = 0; turn < 3; turn += 1) await talk(harness, `${turn} ${'word '.repeat(500)}`, 'fine')
    expect(await ask(harness)).toMatchObject({ reason: 'completed' })
    expect(answers).toEqual([])
  })

  it('that cannot read one image gets the images of later messages', async () => {
    const { h, server, refused } = await start({ provider: 'openai', broken: 'YnJva2Vu' })
    const notices = [{ code: 'file_omitted', mediaType: 'image/png', count: 1 }]
    expect(await ask(h, [{ ...PNG, data: 'YnJva2Vu' }])).toMatchObject({ reason: 'completed', notices })
    expect(await ask(h, [PNG])).toMatchObject({ reason: 'completed', notices })
    expect(refused).toEqual([true, false, true, false])
    expect(JSON.stringify(server.requests.at(-1)?.body)).toContain('iVBORw==')
  })

  it('that filters what a tool returned answers later messages without that turn', async () => {
    const { h, refused } = await start({ provider: 'openai', forbidden: 'forbidden words' })
    const { run } = await h.send('s', 'go')
    const call = await h.model.next()
    call.text('I look it up. ')
    call.tool('none', { q: 'forbidden words' })
    h.model.failures.push(new ModelFailure('content_filtered', undefined, { status: 400 }))
    call.finish('tool-calls')
    const ended = await h.event('s', 'run.ended', (event) => event.run === run)
    expect(ended.error).toMatchObject({ code: 'content_filtered', providerStatus: 400 })
    expect(await ask(h)).toMatchObject({ reason: 'completed' })
    expect(refused).toEqual([false])
  })

  it('that sends an empty stream for a prompt that is too long gets a shorter one, as long as something can be left out', async () => {
    // llama-cpp-python 0.3 does this.
    const server = await provide(({ text, response }) => {
      beginSse(response)
      if (text.length < 8_000) sendSse(response, OK.compatible)
      response.end(text.length < 8_000 ? 'data: [DONE]\n\n' : undefined)
    })
    const config = { model: 'compatible:m', compatible: { url: server.url } }
    harness = await EngineHarness.start({ other: createModelCatalog(config).get() })
    for (let turn = 0; turn < 6; turn += 1) await talk(harness, `${turn} ${'word '.repeat(500)}`, 'fine')
    const notices = [{ code: 'history_omitted', count: expect.any(Number) }]
    expect(await ask(harness)).toMatchObject({ reason: 'completed', notices })
    expect(server.requests).toHaveLength(2)
    // Nothing can be left out of the message itself, and the provider has not said that it is too long.
    const error = { code: 'provider_garbage', retryable: false }
    expect(await ask(harness, 'word '.repeat(2_000))).toMatchObject({ reason: 'failed', error })
    expect(server.requests.length).toBeLessThan(6)
  })

  it('that refuses for another reason is asked once if words would change nothing', async () => {
    const server = await provide(({ response }) => {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end('{"error":{"message":"no"}}')
    })
    const config = { model: 'compatible:m', compatible: { url: server.url } }
    harness = await EngineHarness.start({ other: createModelCatalog(config).get() })
    expect(await ask(harness)).toMatchObject({ reason: 'failed', error: { code: 'provider_error' } })
    expect(server.requests).toHaveLength(1)
  })
})
