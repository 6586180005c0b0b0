import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createModelCatalog, type Model, type ProviderFailure, toProviderFailure } from './model.ts'
import {
  beginSse,
  chatChunk,
  type Heard,
  listen,
  type ProviderRequest,
  type ProviderServer,
  sendSse,
  startProviderServer,
  userPrompt,
} from './test/provider-server.ts'

const KEY = 'sk-a-secret'
const PRIVATE = 'org-4711 owes us money'
const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function provide(answer: (request: ProviderRequest) => void): Promise<ProviderServer> {
  const server = await startProviderServer(answer)
  stops.push(() => server.stop())
  return server
}

function modelAt(url: string, provider: 'openai' | 'anthropic' | 'google' | 'compatible' = 'compatible'): Model {
  return createModelCatalog({ model: `${provider}:m`, [provider]: { url, key: KEY } }).get()
}

async function failureOf(heard: Heard): Promise<ProviderFailure> {
  const failure = toProviderFailure(heard.error)
  for (const secret of [KEY, PRIVATE, '127.0.0.1', 'http']) expect(failure.message).not.toContain(secret)
  return failure
}

/** What comes of a request that is answered like this; it must have been asked once only. */
async function failureWhen(answer: (request: ProviderRequest) => void): Promise<ProviderFailure> {
  const server = await provide(answer)
  const heard = await listen(modelAt(server.url), 'hello')
  expect(server.requests).toHaveLength(1)
  expect(heard.finish).toBeUndefined()
  return failureOf(heard)
}

function refuse(
  status: number,
  headers: Record<string, string> = {},
  error: object = {},
): (request: ProviderRequest) => void {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify({ error: { message: PRIVATE, type: 'some_error', ...error } }))
  }
}

const TOOL = {
  type: 'function' as const,
  name: 'weather',
  inputSchema: { type: 'object' as const, properties: { city: { type: 'string' as const } } },
}

describe('a compatible server', () => {
  it('streams reasoning, text and a tool call, and is told the key, the tools and to count', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      sendSse(response, [
        chatChunk({ role: 'assistant', reasoning_content: 'Hm' }),
        chatChunk({ reasoning_content: 'm.' }),
        chatChunk({ content: 'Hel' }),
        chatChunk({ content: 'lo' }),
        chatChunk({
          tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'weather', arguments: '{"ci' } }],
        }),
        chatChunk({ tool_calls: [{ index: 0, function: { arguments: 'ty":"Oslo"}' } }] }),
        chatChunk({}, 'tool_calls', { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 }),
        '[DONE]',
      ])
      response.end()
    })
    const heard = await listen(modelAt(server.url), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect([heard.reasoning, heard.text]).toEqual(['Hmm.', 'Hello'])
    expect(heard.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(heard.finish?.finishReason.unified).toBe('tool-calls')
    expect(heard.finish?.usage).toMatchObject({ inputTokens: { total: 11 }, outputTokens: { total: 7 } })
    const [request] = server.requests
    expect(request?.path).toBe('/chat/completions')
    expect(request?.headers.authorization).toBe(`Bearer ${KEY}`)
    expect(request?.body).toMatchObject({ model: 'm', stream: true, stream_options: { include_usage: true } })
    expect(request?.body.tools[0].function.name).toBe('weather')
  })

  it('needs no key', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'hi' }, 'stop')])
      response.end()
    })
    const model = createModelCatalog({ model: 'compatible:m', compatible: { url: server.url } }).get()
    expect((await listen(model, 'hello')).text).toBe('hi')
    expect(server.requests[0]?.headers.authorization).toBeUndefined()
  })

  it('sees its connection close when the request is aborted before an answer, in the middle, or its stream is cancelled', async () => {
    const server = await provide(({ body, response }) => {
      if (body.messages[0].content === 'silence') return
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'Hel' })])
    })
    const model = modelAt(server.url)
    const abort = new AbortController()
    const asked = server.next()
    const silent = listen(model, { prompt: userPrompt('silence'), abortSignal: abort.signal })
    const request = await asked
    abort.abort(new Error('enough'))
    await request.closed
    expect((await silent).error).toBeDefined()

    const later = new AbortController()
    const heard = await listen(model, { prompt: userPrompt('hello'), abortSignal: later.signal }, (part) => {
      if (part.type === 'text-delta') later.abort(new Error('enough'))
    })
    await server.requests[1]?.closed
    expect(heard.text).toBe('Hel')
    expect(heard.finish).toBeUndefined()

    const { stream } = await model.language.doStream({ prompt: userPrompt('hello') })
    const reader = stream.getReader()
    await reader.read()
    await reader.cancel()
    await server.requests[2]?.closed
  })
})

describe('a provider that refuses', () => {
  it('is typed by its status, once, and without its words', async () => {
    expect(await failureWhen(refuse(401))).toMatchObject({ code: 'provider_unauthenticated', retryable: false })
    expect(await failureWhen(refuse(403))).toMatchObject({ code: 'provider_unauthenticated', retryable: false })
    expect(await failureWhen(refuse(400))).toMatchObject({ code: 'provider_error', retryable: false })
    expect(await failureWhen(refuse(404))).toMatchObject({ code: 'provider_error', retryable: false })
    expect(await failureWhen(refuse(500))).toEqual({
      code: 'provider_error',
      message: 'The model provider answered with an error (HTTP 500).',
      retryable: true,
    })
    expect(await failureWhen(refuse(503, { 'retry-after': '2' }))).toMatchObject({
      retryable: true,
      retryAfterMs: 2000,
    })
    expect(await failureWhen(refuse(529))).toMatchObject({ code: 'provider_error', retryable: true })
    expect(await failureWhen(refuse(504))).toMatchObject({ code: 'provider_timeout', retryable: true })
    expect(await failureWhen(refuse(400, {}, { code: 'content_filter' }))).toMatchObject({ code: 'content_filtered' })
  })

  it('says how long to wait, in seconds, in milliseconds or by a date', async () => {
    const limited = { code: 'provider_rate_limited', retryable: true }
    expect(await failureWhen(refuse(429))).toEqual({ ...limited, message: expect.any(String) })
    expect(await failureWhen(refuse(429, { 'retry-after': '3' }))).toMatchObject({ ...limited, retryAfterMs: 3000 })
    expect(await failureWhen(refuse(429, { 'retry-after': '9', 'retry-after-ms': '250' }))).toMatchObject({
      retryAfterMs: 250,
    })
    const date = new Date(Date.now() + 3_600_000).toUTCString()
    const wait = (await failureWhen(refuse(429, { 'retry-after': date }))).retryAfterMs ?? 0
    expect(Math.abs(wait - 3_600_000)).toBeLessThan(30_000)
    expect(await failureWhen(refuse(429, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }))).toMatchObject({
      retryAfterMs: 0,
    })
    expect(await failureWhen(refuse(429, { 'retry-after': 'soon' }))).not.toHaveProperty('retryAfterMs')
  })

  it('is not asked again when the account has nothing left', async () => {
    const failure = await failureWhen(refuse(429, {}, { type: 'insufficient_quota', code: 'insufficient_quota' }))
    expect(failure).toMatchObject({ code: 'provider_rate_limited', retryable: false })
  })

  it('may do so in the middle of its stream', async () => {
    const inBand = (error: object): Promise<ProviderFailure> =>
      failureWhen(({ response }) => {
        beginSse(response)
        sendSse(response, [chatChunk({ content: 'Hel' }), { error: { message: PRIVATE, ...error } }])
        response.end()
      })
    expect(await inBand({ type: 'server_error' })).toMatchObject({ code: 'provider_error', retryable: true })
    expect(await inBand({ type: 'invalid_request_error' })).toMatchObject({ code: 'provider_error', retryable: false })
    expect(await inBand({ code: 'rate_limit_exceeded' })).toMatchObject({
      code: 'provider_rate_limited',
      retryable: true,
    })
    expect(await inBand({ code: 503 })).toMatchObject({ code: 'provider_error', retryable: true })
  })
})

describe('a provider whose connection breaks', () => {
  const disconnected = { code: 'provider_disconnected', retryable: true }

  it('is typed when nobody listens', async () => {
    const closed = createServer()
    const port = await new Promise<number>((resolve) => {
      closed.listen(0, '127.0.0.1', () => {
        const address = closed.address()
        closed.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
      })
    })
    expect(await failureOf(await listen(modelAt(`http://127.0.0.1:${port}`), 'hello'))).toMatchObject(disconnected)
  })

  it('is typed when it breaks before an answer, between the headers and the first event, and in the middle', async () => {
    expect(await failureWhen(({ response }) => response.destroy())).toMatchObject(disconnected)
    expect(
      await failureWhen(({ response }) => {
        beginSse(response)
        setImmediate(() => response.destroy())
      }),
    ).toMatchObject(disconnected)
    expect(
      await failureWhen(({ response }) => {
        beginSse(response)
        response.write(`data: ${JSON.stringify(chatChunk({ content: 'Hel' }))}\n\ndata: {"id`, () => response.destroy())
      }),
    ).toMatchObject(disconnected)
  })

  it('is typed when the answer just ends, without an end of its own', async () => {
    const failure = await failureWhen(({ response }) => {
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'Hel' }), chatChunk({ content: 'lo' })])
      response.end()
    })
    expect(failure).toMatchObject(disconnected)
  })

  it('makes no tool call of an answer that was cut', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      const call = { index: 0, id: 'c', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }
      sendSse(response, [chatChunk({ tool_calls: [call] })])
      response.end()
    })
    const heard = await listen(modelAt(server.url), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect(heard.calls).toEqual([])
    expect(await failureOf(heard)).toMatchObject(disconnected)
  })
})

describe('a provider that sends garbage', () => {
  const garbage = { code: 'provider_garbage', retryable: false }

  it('is typed, whether it is a page, a broken event, a foreign event or nothing', async () => {
    const bodies: [string, string][] = [
      ['text/html', '<html><body>Welcome to our portal</body></html>'],
      ['text/event-stream', 'data: {"id": nonsense}\n\n'],
      ['text/event-stream', 'data: {"hello": "world"}\n\n'],
      ['text/event-stream', ''],
      ['application/octet-stream', '\u0000\uffff\u0001'],
    ]
    for (const [type, body] of bodies) {
      const failure = await failureWhen(({ response }) => {
        response.writeHead(200, { 'content-type': type })
        response.end(body)
      })
      expect(failure, JSON.stringify(body)).toMatchObject(garbage)
    }
  })
})

describe('the other providers', () => {
  it('OpenAI streams text and a tool call over its responses', async () => {
    const call = { type: 'function_call', id: 'f', call_id: 'c', name: 'weather', arguments: '', status: 'in_progress' }
    const done = { ...call, arguments: '{"city":"Oslo"}', status: 'completed' }
    const server = await provide(({ response }) => {
      beginSse(response)
      sendSse(response, [
        { type: 'response.created', response: { id: 'r', created_at: 1, model: 'm' } },
        { type: 'response.output_item.added', output_index: 0, item: { type: 'message', id: 't' } },
        { type: 'response.output_text.delta', item_id: 't', delta: 'Hel' },
        { type: 'response.output_text.delta', item_id: 't', delta: 'lo' },
        { type: 'response.output_item.done', output_index: 0, item: { type: 'message', id: 't' } },
        { type: 'response.output_item.added', output_index: 1, item: call },
        { type: 'response.function_call_arguments.delta', item_id: 'f', output_index: 1, delta: '{"city":"Oslo"}' },
        { type: 'response.output_item.done', output_index: 1, item: done },
        { type: 'response.completed', response: { usage: { input_tokens: 11, output_tokens: 7 } } },
      ])
      response.end()
    })
    const heard = await listen(modelAt(server.url, 'openai'), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect(heard.error).toBeUndefined()
    expect(heard.text).toBe('Hello')
    expect(heard.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(heard.finish?.finishReason.unified).toBe('tool-calls')
    expect(heard.finish?.usage).toMatchObject({ inputTokens: { total: 11 }, outputTokens: { total: 7 } })
    expect(server.requests[0]?.path).toBe('/responses')
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`)
  })

  it('OpenAI is disconnected when its stream ends early, and finished when it only has text', async () => {
    const text = [
      { type: 'response.created', response: { id: 'r', created_at: 1, model: 'm' } },
      { type: 'response.output_item.added', output_index: 0, item: { type: 'message', id: 't' } },
      { type: 'response.output_text.delta', item_id: 't', delta: 'Hello' },
    ]
    const end = [
      { type: 'response.output_item.done', output_index: 0, item: { type: 'message', id: 't' } },
      { type: 'response.completed', response: { usage: { input_tokens: 1, output_tokens: 1 } } },
    ]
    const server = await provide(({ body, response }) => {
      beginSse(response)
      sendSse(response, JSON.stringify(body).includes('whole') ? [...text, ...end] : text)
      response.end()
    })
    const model = modelAt(server.url, 'openai')
    expect((await listen(model, 'whole')).finish?.finishReason.unified).toBe('stop')
    expect(await failureOf(await listen(model, 'cut'))).toMatchObject({ code: 'provider_disconnected' })
  })

  const named = (event: unknown): string => (event as { type: string }).type
  const anthropicStart = {
    type: 'message_start',
    message: {
      id: 'm',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [],
      stop_reason: null,
      usage: { input_tokens: 11, output_tokens: 1 },
    },
  }
  const anthropicText = [
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } },
    { type: 'content_block_stop', index: 0 },
  ]

  it('Anthropic streams text and a tool call', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      const events = [
        anthropicStart,
        ...anthropicText,
        {
          type: 'content_block_start',
          index: 1,
          content_block: { type: 'tool_use', id: 'c', name: 'weather', input: {} },
        },
        { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"city":' } },
        { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '"Oslo"}' } },
        { type: 'content_block_stop', index: 1 },
        { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 7 } },
        { type: 'message_stop' },
      ]
      sendSse(response, events, named)
      response.end()
    })
    const heard = await listen(modelAt(server.url, 'anthropic'), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect(heard.error).toBeUndefined()
    expect(heard.text).toBe('Hello')
    expect(heard.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(heard.finish?.usage).toMatchObject({ inputTokens: { total: 11 }, outputTokens: { total: 7 } })
    expect(server.requests[0]?.path).toBe('/messages')
    expect(server.requests[0]?.headers['x-api-key']).toBe(KEY)
  })

  it('Anthropic is typed when it is overloaded, refuses, or is cut off', async () => {
    const server = await provide(({ body, response }) => {
      const asked = JSON.stringify(body.messages)
      if (asked.includes('refused')) {
        response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '7' })
        response.end(JSON.stringify({ type: 'error', error: { type: 'rate_limit_error', message: PRIVATE } }))
        return
      }
      const overloaded = { type: 'error', error: { type: 'overloaded_error', message: PRIVATE } }
      beginSse(response)
      sendSse(
        response,
        [anthropicStart, ...anthropicText, ...(asked.includes('overloaded') ? [overloaded] : [])],
        named,
      )
      response.end()
    })
    const model = modelAt(server.url, 'anthropic')
    expect(await failureOf(await listen(model, 'refused'))).toMatchObject({
      code: 'provider_rate_limited',
      retryAfterMs: 7000,
    })
    expect(await failureOf(await listen(model, 'overloaded'))).toMatchObject({
      code: 'provider_error',
      retryable: true,
    })
    expect(await failureOf(await listen(model, 'cut'))).toMatchObject({ code: 'provider_disconnected' })
    expect(server.requests).toHaveLength(3)
  })

  it('Google streams text and a tool call, and is disconnected when it ends early', async () => {
    const candidate = (parts: object[], finishReason?: string): object => ({
      candidates: [{ index: 0, content: { role: 'model', parts }, ...(finishReason && { finishReason }) }],
      usageMetadata: { promptTokenCount: 11, candidatesTokenCount: 7, totalTokenCount: 18 },
    })
    const server = await provide(({ body, response }) => {
      const whole = JSON.stringify(body).includes('whole')
      beginSse(response)
      sendSse(response, [
        candidate([{ text: 'Hel' }]),
        candidate([{ text: 'lo' }]),
        candidate([{ functionCall: { name: 'weather', args: { city: 'Oslo' } } }], whole ? 'STOP' : undefined),
      ])
      response.end()
    })
    const model = modelAt(server.url, 'google')
    const heard = await listen(model, { prompt: userPrompt('whole'), tools: [TOOL] })
    expect(heard.error).toBeUndefined()
    expect(heard.text).toBe('Hello')
    expect(heard.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(heard.finish?.finishReason.unified).toBe('tool-calls')
    expect(server.requests[0]?.path).toBe('/models/m:streamGenerateContent?alt=sse')
    expect(server.requests[0]?.headers['x-goog-api-key']).toBe(KEY)
    const cut = await listen(model, { prompt: userPrompt('cut'), tools: [TOOL] })
    expect(cut.calls).toEqual([])
    expect(await failureOf(cut)).toMatchObject({ code: 'provider_disconnected' })
  })
})
