// OpenAI, Anthropic and Google, each against a server that speaks its protocol: streams, tools, failures.
import { describe, expect, it } from 'vitest'
import { failureOf, KEY, modelAt, PRIVATE, provide, TOOL } from './test/model-at.ts'
import { beginSse, readAnswer, sendSse, userPrompt } from './test/provider-server.ts'

describe('a named provider', () => {
  it('OpenAI streams text and a tool call over the Responses API', async () => {
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
    const received = await readAnswer(modelAt(server.url, 'openai'), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect(received.error).toBeUndefined()
    expect(received.text).toBe('Hello')
    expect(received.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(received.finish?.finishReason.unified).toBe('tool-calls')
    expect(received.finish?.usage).toMatchObject({ inputTokens: { total: 11 }, outputTokens: { total: 7 } })
    expect(server.requests[0]?.path).toBe('/responses')
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`)
  })

  it('OpenAI fails as disconnected if its stream ends early, and completes with text alone', async () => {
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
    expect((await readAnswer(model, 'whole')).finish?.finishReason.unified).toBe('stop')
    expect(await failureOf(await readAnswer(model, 'cut'))).toMatchObject({ code: 'provider_disconnected' })
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
    const received = await readAnswer(modelAt(server.url, 'anthropic'), { prompt: userPrompt('hello'), tools: [TOOL] })
    expect(received.error).toBeUndefined()
    expect(received.text).toBe('Hello')
    expect(received.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(received.finish?.usage).toMatchObject({ inputTokens: { total: 11 }, outputTokens: { total: 7 } })
    expect(server.requests[0]?.path).toBe('/messages')
    expect(server.requests[0]?.headers['x-api-key']).toBe(KEY)
  })

  it('Anthropic fails with a typed error if it is overloaded, refuses, or is cut', async () => {
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
    expect(await failureOf(await readAnswer(model, 'refused'))).toMatchObject({
      code: 'provider_rate_limited',
      retryAfterMs: 7000,
    })
    expect(await failureOf(await readAnswer(model, 'overloaded'))).toMatchObject({
      code: 'provider_error',
      retryable: true,
    })
    expect(await failureOf(await readAnswer(model, 'cut'))).toMatchObject({ code: 'provider_disconnected' })
    expect(server.requests).toHaveLength(3)
  })

  it('Google streams text and a tool call, and fails as disconnected if it ends early', async () => {
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
    const received = await readAnswer(model, { prompt: userPrompt('whole'), tools: [TOOL] })
    expect(received.error).toBeUndefined()
    expect(received.text).toBe('Hello')
    expect(received.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(received.finish?.finishReason.unified).toBe('tool-calls')
    expect(server.requests[0]?.path).toBe('/models/m:streamGenerateContent?alt=sse')
    expect(server.requests[0]?.headers['x-goog-api-key']).toBe(KEY)
    const cut = await readAnswer(model, { prompt: userPrompt('cut'), tools: [TOOL] })
    expect(cut.calls).toEqual([])
    expect(await failureOf(cut)).toMatchObject({ code: 'provider_disconnected' })
  })
})
