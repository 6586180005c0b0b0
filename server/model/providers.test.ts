// An OpenAI-compatible server: requests, responses, and every way to fail.
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createModelCatalog } from './model-catalog.ts'
import type { ProviderFailure } from './provider-failure.ts'
import { failureOf, KEY, modelAt, PRIVATE, provide, TOOL } from './test/model-at.ts'
import { beginSse, chatChunk, type ProviderRequest, readAnswer, sendSse, userPrompt } from './test/provider-server.ts'

/** The failure for this response. The server must have received one request only. */
async function failureWhen(answer: (request: ProviderRequest) => void): Promise<ProviderFailure> {
  const server = await provide(answer)
  const received = await readAnswer(modelAt(server.url), 'hello')
  expect(server.requests).toHaveLength(1)
  expect(received.finish).toBeUndefined()
  return failureOf(received)
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
  it('streams reasoning, text and a tool call, and receives the key, the tools and include_usage', async () => {
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
    const received = await readAnswer(modelAt(server.url), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect([received.reasoning, received.text]).toEqual(['Hmm.', 'Hello'])
    expect(received.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(received.finish?.finishReason.unified).toBe('tool-calls')
    expect(received.finish?.usage).toMatchObject({ inputTokens: { total: 11 }, outputTokens: { total: 7 } })
    const [request] = server.requests
    expect(request?.path).toBe('/chat/completions')
    expect(request?.headers.authorization).toBe(`Bearer ${KEY}`)
    expect(request?.body).toMatchObject({ model: 'm', stream: true, stream_options: { include_usage: true } })
    expect(request?.body.tools?.[0]?.function.name).toBe('weather')
  })

  it('receives an output limit that every model supports, and no larger one', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'hi' }, 'stop')])
      response.end()
    })
    const model = modelAt(server.url)
    await readAnswer(model, { prompt: userPrompt('hello'), maxOutputTokens: 4096 })
    await readAnswer(model, { prompt: userPrompt('hello'), maxOutputTokens: 32_768 })
    expect(server.requests.map(({ body }) => body.max_tokens)).toEqual([4096, undefined])
  })

  it('receives the JSON schema of an answer', async () => {
    // It was `{"type":"json_object"}` without the schema, so every client's structured output failed.
    const server = await provide(({ response }) => {
      beginSse(response)
      sendSse(response, [chatChunk({ content: '{}' }, 'stop'), '[DONE]'])
      response.end()
    })
    const schema = { type: 'object' as const, properties: { city: { type: 'string' as const } } }
    const responseFormat = { type: 'json' as const, schema, name: 'place' }
    const received = await readAnswer(modelAt(server.url), { prompt: userPrompt('hello'), responseFormat })
    expect(received.parts[0]).toEqual({ type: 'stream-start', warnings: [] })
    expect(server.requests[0]?.body.response_format).toMatchObject({
      type: 'json_schema',
      json_schema: { name: 'place', schema },
    })
  })

  it('needs no key', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'hi' }, 'stop')])
      response.end()
    })
    const model = createModelCatalog({ model: 'compatible:m', compatible: { url: server.url } }).get()
    expect((await readAnswer(model, 'hello')).text).toBe('hi')
    expect(server.requests[0]?.headers.authorization).toBeUndefined()
  })

  it('sees its connection close on an abort before the answer, in mid-answer, and on a cancelled stream', async () => {
    const server = await provide(({ body, response }) => {
      if (body.messages?.[0]?.content === 'silence') return
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'Hel' })])
    })
    const model = modelAt(server.url)
    const abort = new AbortController()
    const asked = server.next()
    const silent = readAnswer(model, { prompt: userPrompt('silence'), abortSignal: abort.signal })
    const request = await asked
    abort.abort(new Error('enough'))
    await request.closed
    expect((await silent).error).toBeDefined()

    const later = new AbortController()
    const received = await readAnswer(model, { prompt: userPrompt('hello'), abortSignal: later.signal }, (part) => {
      if (part.type === 'text-delta') later.abort(new Error('enough'))
    })
    await server.requests[1]?.closed
    expect(received.text).toBe('Hel')
    expect(received.finish).toBeUndefined()

    const { stream } = await model.language.doStream({ prompt: userPrompt('hello') })
    const reader = stream.getReader()
    await reader.read()
    await reader.cancel()
    await server.requests[2]?.closed
  })
})

describe('a provider that refuses', () => {
  it('fails with the code of its status, once, and gives a reason only for a permanent refusal', async () => {
    const rejected = { code: 'provider_unauthenticated', retryable: false }
    expect(await failureWhen(refuse(401))).toMatchObject({ ...rejected, status: 401 })
    expect(await failureWhen(refuse(403))).toMatchObject({ ...rejected, status: 403 })
    expect(await failureWhen(refuse(400))).toEqual({
      code: 'provider_error',
      message: `The model provider refused the request (HTTP 400): ${PRIVATE}`,
      retryable: false,
      status: 400,
    })
    const message = `no key ${KEY} at http://127.0.0.1/x?key=${KEY}`
    expect(await failureWhen(refuse(404, {}, { message }))).toEqual({
      code: 'provider_error',
      message: 'The model provider refused the request (HTTP 404): no key [removed] at [removed]',
      retryable: false,
      status: 404,
    })
    expect(await failureWhen(refuse(500))).toEqual({
      code: 'provider_error',
      message: 'The model provider returned an error (HTTP 500).',
      retryable: true,
      status: 500,
    })
    expect(await failureWhen(refuse(503, { 'retry-after': '2' }))).toMatchObject({
      retryable: true,
      retryAfterMs: 2000,
    })
    expect(await failureWhen(refuse(529))).toMatchObject({ code: 'provider_error', retryable: true })
    expect(await failureWhen(refuse(504))).toMatchObject({ code: 'provider_timeout', retryable: true })
    expect(await failureWhen(refuse(400, {}, { code: 'content_filter' }))).toMatchObject({ code: 'content_filtered' })
  })

  it('gives its wait in seconds, in milliseconds or as a date', async () => {
    const limited = { code: 'provider_rate_limited', retryable: true }
    expect(await failureWhen(refuse(429))).toEqual({ ...limited, message: expect.any(String), status: 429 })
    expect(await failureWhen(refuse(429, { 'retry-after': '3' }))).toMatchObject({ ...limited, retryAfterMs: 3000 })
    expect(await failureWhen(refuse(429, { 'retry-after': '9', 'retry-after-ms': '250' }))).toMatchObject({
      retryAfterMs: 250,
    })
    const date = new Date(Date.now() + 3_600_000).toUTCString()
    const wait = (await failureWhen(refuse(429, { 'retry-after': date }))).retryAfterMs ?? 0
    expect(Math.abs(wait - 3_600_000)).toBeLessThan(30_000)
    const far = { date: 'Tue, 01 Jan 1980 00:00:00 GMT', 'retry-after': 'Tue, 01 Jan 1980 00:00:07 GMT' }
    expect(await failureWhen(refuse(429, far))).toMatchObject({ ...limited, retryAfterMs: 7000 })
    expect(await failureWhen(refuse(429, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }))).toMatchObject({
      retryAfterMs: 0,
    })
    expect(await failureWhen(refuse(429, { 'retry-after': 'soon' }))).not.toHaveProperty('retryAfterMs')
  })

  it('is not retried if the account is exhausted', async () => {
    const failure = await failureWhen(refuse(429, {}, { type: 'insufficient_quota', code: 'insufficient_quota' }))
    expect(failure).toMatchObject({ code: 'provider_rate_limited', retryable: false })
  })

  it('may refuse in mid-stream', async () => {
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

  it('fails with a typed error if nothing listens', async () => {
    const closed = createServer()
    const port = await new Promise<number>((resolve) => {
      closed.listen(0, '127.0.0.1', () => {
        const address = closed.address()
        closed.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
      })
    })
    expect(await failureOf(await readAnswer(modelAt(`http://127.0.0.1:${port}`), 'hello'))).toMatchObject(disconnected)
  })

  it('fails with a typed error before the answer, between headers and first event, and in mid-answer', async () => {
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

  it('fails with a typed error if the answer ends without its end marker', async () => {
    const failure = await failureWhen(({ response }) => {
      beginSse(response)
      sendSse(response, [chatChunk({ content: 'Hel' }), chatChunk({ content: 'lo' })])
      response.end()
    })
    expect(failure).toMatchObject(disconnected)
  })

  it('makes no tool call from a cut answer', async () => {
    const server = await provide(({ response }) => {
      beginSse(response)
      const call = { index: 0, id: 'c', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }
      sendSse(response, [chatChunk({ tool_calls: [call] })])
      response.end()
    })
    const received = await readAnswer(modelAt(server.url), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect(received.calls).toEqual([])
    expect(await failureOf(received)).toMatchObject(disconnected)
  })
})

describe('a provider that sends invalid data', () => {
  const garbage = { code: 'provider_garbage', retryable: false }

  it('fails with a typed error for an HTML page, a broken event, a foreign event and nothing', async () => {
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
