// An OpenAI-compatible server: what goes out, what comes in, and every way in which it breaks.
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createModelCatalog } from './model-catalog.ts'
import type { ProviderFailure } from './provider-failure.ts'
import { failureOf, KEY, modelAt, PRIVATE, provide, TOOL } from './test/model-at.ts'
import { beginSse, chatChunk, listen, type ProviderRequest, sendSse, userPrompt } from './test/provider-server.ts'

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
    expect(request?.body.tools?.[0]?.function.name).toBe('weather')
  })

  it('is told a bound on its output that any model can keep, and no larger one', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'hi' }, 'stop')])
      response.end()
    })
    const model = modelAt(server.url)
    await listen(model, { prompt: userPrompt('hello'), maxOutputTokens: 4096 })
    await listen(model, { prompt: userPrompt('hello'), maxOutputTokens: 32_768 })
    expect(server.requests.map(({ body }) => body.max_tokens)).toEqual([4096, undefined])
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
      if (body.messages?.[0]?.content === 'silence') return
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
