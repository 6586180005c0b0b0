// Chat completions as real servers send them: errors in other shapes, whole messages instead of deltas, events without meaning.
import { describe, expect, it } from 'vitest'
import { ChatDialect } from './chat-dialect.ts'
import { failureOf, modelAt, PRIVATE, provide, TOOL } from './test/model-at.ts'
import { beginSse, chatChunk, type ReceivedAnswer, readAnswer, sendSse, userPrompt } from './test/provider-server.ts'

async function received(events: readonly unknown[], name?: (event: unknown) => string): Promise<ReceivedAnswer> {
  const server = await provide(({ response }) => {
    beginSse(response)
    sendSse(response, events, name)
    response.end()
  })
  return readAnswer(modelAt(server.url), { prompt: userPrompt('hello'), tools: [TOOL] })
}

async function receivedBody(body: unknown): Promise<ReceivedAnswer> {
  const server = await provide(({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
    response.end(JSON.stringify(body))
  })
  return readAnswer(modelAt(server.url), { prompt: userPrompt('hello'), tools: [TOOL] })
}

const limited = { code: 'provider_rate_limited', retryable: true }
const failed = { code: 'provider_error', retryable: true }

describe('an error after the headers', () => {
  // All of these were provider_garbage or provider_disconnected, and not tried again.
  it.each([
    ['as a string', { error: PRIVATE }, failed],
    ['as a word', { error: 'rate_limit_exceeded' }, limited],
    ['as a sentence', { error: `Rate limit reached: ${PRIVATE}` }, limited],
    ['as an object of its own', { object: 'error', message: PRIVATE, type: 'InternalServerError', code: 503 }, failed],
    ['without a message', { error: { code: 429 } }, limited],
    ['with a null message', { error: { message: null, type: 'server_error' } }, failed],
    ['in OpenAI’s shape', { error: { message: PRIVATE, type: 'rate_limit_error', code: 429 } }, limited],
    [
      'that is permanent',
      { object: 'error', message: PRIVATE, type: 'invalid_request_error', code: 400 },
      { code: 'provider_error', retryable: false },
    ],
  ])('%s is a typed failure, as an event and as a body with status 200', async (_, error, expected) => {
    expect(await failureOf(await received([error]))).toMatchObject(expected)
    expect(await failureOf(await received([chatChunk({ content: 'Hel' }), error]))).toMatchObject(expected)
    expect(await failureOf(await receivedBody(error))).toMatchObject(expected)
  })

  it('is one in an event named `error`', async () => {
    const answer = await received([{ message: PRIVATE, code: 'overloaded' }], () => 'error')
    expect(await failureOf(answer)).toMatchObject(failed)
  })

  it('with a refusing status is searched in every shape', async () => {
    const server = await provide(({ response }) => {
      response.writeHead(429, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ object: 'error', message: PRIVATE, code: 'insufficient_quota' }))
    })
    const answer = await readAnswer(modelAt(server.url), 'hello')
    expect(await failureOf(answer)).toMatchObject({ code: 'provider_rate_limited', retryable: false })
  })
})

describe('a chunk', () => {
  it('with `"error": null` is not an error', async () => {
    const answer = await received([
      { ...chatChunk({ content: 'a' }), error: null },
      { ...chatChunk({ content: 'b' }, 'stop'), error: null },
      '[DONE]',
    ])
    expect([answer.text, answer.error, answer.finish?.finishReason.unified]).toEqual(['ab', undefined, 'stop'])
  })

  it('without choices, usage or error is ignored', async () => {
    // A stray `data: {}`, or `data:` without anything, failed the answer as provider_garbage.
    const answer = await received([
      {},
      '',
      chatChunk({ content: 'a' }),
      {},
      'null',
      { type: 'ping' },
      chatChunk({}, 'stop'),
    ])
    expect([answer.text, answer.error, answer.finish?.finishReason.unified]).toEqual(['a', undefined, 'stop'])
  })

  it('with an empty finish reason does not finish the answer', async () => {
    const answer = await received([
      chatChunk({ content: 'a' }, ''),
      chatChunk({ content: 'b' }, ''),
      chatChunk({}, 'stop'),
    ])
    expect([answer.text, answer.finish?.finishReason.unified]).toEqual(['ab', 'stop'])
  })
})

describe('a whole message', () => {
  const call = { id: 'c', type: 'function', function: { name: 'weather', arguments: { city: 'Oslo' } } }
  const message = { role: 'assistant', content: 'Hello', reasoning_content: 'Hm.', refusal: null, tool_calls: [call] }
  const whole = (finish: string) => ({ id: 'c1', choices: [{ index: 0, message, finish_reason: finish }] })

  it('instead of a delta is the answer, in an event and in a JSON body', async () => {
    // It was an empty, completed answer: the AI SDK ignores `message`.
    for (const answer of [await received([whole('stop'), '[DONE]']), await receivedBody(whole('tool_calls'))]) {
      expect([answer.text, answer.reasoning, answer.error]).toEqual(['Hello', 'Hm.', undefined])
      expect(answer.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
      expect(answer.finish).toBeDefined()
    }
  })

  it('that repeats the deltas is not said twice', async () => {
    const answer = await received([
      chatChunk({ content: 'Hel' }),
      chatChunk({ content: 'lo' }),
      whole('stop'),
      '[DONE]',
    ])
    expect([answer.text, answer.calls]).toEqual(['Hello', []])
  })

  it('may be the text of a completion', async () => {
    const answer = await received([
      { id: 'c1', choices: [{ index: 0, text: 'Hello', finish_reason: 'stop' }] },
      '[DONE]',
    ])
    expect([answer.text, answer.finish?.finishReason.unified]).toEqual(['Hello', 'stop'])
  })
})

describe('a later delta', () => {
  const dialect = (): ChatDialect => {
    const said = new ChatDialect()
    said.event(JSON.stringify(chatChunk({ content: 'Hel' })), '')
    return said
  }
  const passed = (event: unknown, name = ''): unknown => {
    const data = typeof event === 'string' ? event : JSON.stringify(event)
    return dialect().event(data, name)
  }

  it('passes unchanged, also with numbers and words that look like fields', () => {
    const chunk = { ...chatChunk({ content: 'the "error": {"message": 1}, "finish_reason": "stop"' }), seed: 1 }
    const exact = JSON.stringify(chunk).replace('"seed":1', '"seed":12345678901234567890')
    expect(passed(exact)).toBe(exact)
    // As Python's servers write it.
    const spaced = '{"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": null}]}'
    expect(passed(spaced)).toBe(spaced)
  })

  it('is still read if it may be an error, a call, a whole message or the end', () => {
    const delta = chatChunk({ content: 'lo' })
    expect(passed({ ...delta, error: { message: 'no' } })).toBe('{"error":{"message":"no"}}')
    expect(passed({ ...delta, error: null })).not.toContain('error')
    expect(passed({ ...delta, message: 'no' }, 'error')).toBe('{"error":{"message":"no"}}')
    const call = { index: 0, function: { name: 'f', arguments: { a: 1 } } }
    expect(passed(chatChunk({ tool_calls: [call] }))).toContain(String.raw`"arguments":"{\"a\":1}"`)
    const repeated = { choices: [{ index: 0, delta: {}, message: { content: 'Hello' } }] }
    expect(passed(repeated)).not.toContain('Hello')
    const ended = dialect()
    ended.event('{"choices": [{"delta": {"content": "lo"}, "finish_reason" : "stop"}]}', '')
    expect(ended.end).toBe('finished')
  })
})
