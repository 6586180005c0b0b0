// What servers with OpenAI's chat protocol really send, from end to end: the same text, call or failure over Parley's own transports
// and over the API of OpenAI. The server is a stand-in.
import type OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { provide } from '../../model/test/model-at.ts'
import { beginSse, chatChunk, type ProviderRequest, sendSse } from '../../model/test/provider-server.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

let h: OpenAiHarness | undefined
afterEach(async () => {
  await h?.close()
  h = undefined
})

const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'hi' }]
const tools: OpenAI.ChatCompletionTool[] = [{ type: 'function', function: { name: 'weather' } }]

async function open(answer: (request: ProviderRequest) => void): Promise<OpenAiHarness> {
  const { url } = await provide(answer)
  h = await OpenAiHarness.open({
    PARLEY_MODEL: 'compatible:m',
    PARLEY_THINK_MODELS: 'compatible:m',
    PARLEY_COMPATIBLE_URL: url,
  })
  return h
}

/** @param end whether the server ends its answer */
function say(events: readonly unknown[], end = true) {
  return ({ response }: ProviderRequest): void => {
    beginSse(response)
    sendSse(response, events)
    if (end) response.end()
  }
}

const finish = [chatChunk({}, 'stop'), '[DONE]']
const whole = { id: 'c', object: 'chat.completion', model: 'm', choices: [] as unknown[] }
const message = { role: 'assistant', content: 'Hello', tool_calls: null }

const ANSWERS: readonly (readonly [string, (request: ProviderRequest) => void])[] = [
  ['keeps the connection open after [DONE]', say([chatChunk({ content: 'Hello' }), ...finish], false)],
  ['sends nothing after the finish reason', say([chatChunk({ content: 'Hello' }), chatChunk({}, 'stop')], false)],
  ['sends an event without content first', say(['{}', chatChunk({ content: 'Hello' }), ...finish])],
  ['sends a null error in each chunk', say([{ ...chatChunk({ content: 'Hello' }, 'stop'), error: null }, '[DONE]'])],
  [
    'sends a whole message instead of deltas',
    say([{ ...whole, choices: [{ index: 0, message, finish_reason: 'stop' }] }, '[DONE]']),
  ],
  [
    'writes its reasoning in tags',
    say([chatChunk({ content: '<think>Hm</think>\n\nHel' }), chatChunk({ content: 'lo' }), ...finish]),
  ],
]

it.each(ANSWERS)(
  'a server that %s is understood everywhere',
  async (_, answer) => {
    const h = await open(answer)
    const native = (await (await h.post('/v1/sessions/s/messages', { content: 'hi' })).json()) as { text: string }
    const completion = await h.client.chat.completions.create({ model: 'compatible:m', messages })
    let streamed = ''
    for await (const { choices } of await h.client.chat.completions.create({ model: 'm', messages, stream: true })) {
      streamed += choices[0]?.delta.content ?? ''
    }
    const response = await h.client.responses.create({ model: 'm', input: 'hi' })
    const texts = [native.text, completion.choices[0]?.message.content, streamed, response.output_text]
    expect(texts).toEqual(['Hello', 'Hello', 'Hello', 'Hello'])
  },
  20_000,
)

describe('tokens written to the provider’s cache', () => {
  // They were 0: `@ai-sdk/openai-compatible` 2.0 passes them on only within the usage as the server sent it.
  it.each([
    [3, 3],
    [-1, 0],
    [1.5, 0],
    ['3', 0],
    [null, 0],
  ])('are in the usage of completions and responses, if they are a number of tokens: %j', async (sent, expected) => {
    const prompt_tokens_details = { cached_tokens: 4, cache_write_tokens: sent }
    const usage = { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10, prompt_tokens_details }
    const h = await open(say([chatChunk({ content: 'Hello' }), chatChunk({}, 'stop', usage), '[DONE]']))
    const details = { cached_tokens: 4, cache_write_tokens: expected }
    const completion = await h.client.chat.completions.create({ model: 'm', messages })
    expect(completion.usage).toMatchObject({ prompt_tokens: 9, prompt_tokens_details: details })
    const response = await h.client.responses.create({ model: 'm', input: 'hi' })
    expect(response.usage).toMatchObject({ input_tokens: 9, input_tokens_details: details })
  })
})

it('null as the arguments of a call is an empty object everywhere', async () => {
  const call = { index: 0, id: 'c1', type: 'function', function: { name: 'weather', arguments: 'null' } }
  const h = await open(say([chatChunk({ tool_calls: [call] }), chatChunk({}, 'tool_calls'), '[DONE]']))
  const completion = await h.client.chat.completions.create({ model: 'm', messages, tools })
  const [made] = completion.choices[0]?.message.tool_calls ?? []
  expect(made).toMatchObject({ function: { name: 'weather', arguments: '{}' } })
  const tool = { type: 'function' as const, name: 'weather', parameters: null, strict: false }
  const response = await h.client.responses.create({ model: 'm', input: 'hi', tools: [tool] })
  expect(response.output).toMatchObject([{ type: 'function_call', name: 'weather', arguments: '{}' }])
})

it('a JSON schema reaches the server', async () => {
  let format: unknown
  const h = await open((request) => {
    format = request.body.response_format
    say([chatChunk({ content: '{"city":"Bern"}' }), ...finish])(request)
  })
  const schema = {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  }
  const completion = await h.client.chat.completions.create({
    model: 'm',
    messages,
    response_format: { type: 'json_schema', json_schema: { name: 'place', strict: true, schema } },
  })
  expect(completion.choices[0]?.message.content).toBe('{"city":"Bern"}')
  expect(format).toMatchObject({ type: 'json_schema', json_schema: { name: 'place', schema } })
})

describe('an error in the answer', () => {
  const text = chatChunk({ content: 'Hel' })
  const errors: readonly (readonly [string, unknown[], object])[] = [
    ['as a text', [text, { error: 'out of memory' }], { code: 'provider_error', retryable: true }],
    [
      'as an object',
      [text, { error: { message: 'slow down', code: 429 } }],
      { code: 'provider_rate_limited', retryable: true },
    ],
    [
      'as the whole event',
      [text, { object: 'error', message: 'boom', code: 500 }],
      { code: 'provider_error', retryable: true },
    ],
    [
      'that is permanent',
      [text, { error: { message: 'no', code: 400 } }],
      { code: 'provider_error', retryable: false },
    ],
  ]

  it.each(errors)('is not mistaken for garbage, and its text is kept: %s', async (_, events, expected) => {
    const h = await open(say(events))
    const native = await h.post('/v1/sessions/s/messages', { content: 'hi' })
    expect(await native.json()).toMatchObject({ ...expected, result: { text: 'Hel', error: expected } })
    const body = { model: 'm', messages }
    const answer = await h.post('/v1/chat/completions', body)
    expect(answer.headers.get('x-should-retry')).toBe(String((expected as { retryable: boolean }).retryable))
    expect(await answer.json()).toMatchObject({ error: { content: 'Hel' } })
    const response = await h.client.responses.create({ model: 'm', input: 'hi' })
    expect(response).toMatchObject({ status: 'failed', error: { message: expect.any(String) } })
    expect(response.output_text).toBe('Hel')
  })

  it('of a JSON body with status 200 is one, too', async () => {
    const h = await open(({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message: 'no such model', type: 'invalid_request_error' } }))
    })
    const answer = await h.post('/v1/chat/completions', { model: 'm', messages, stream: true })
    expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([400, 'false'])
    expect(await answer.json()).toMatchObject({ error: { message: expect.stringContaining('no such model') } })
  })
})
