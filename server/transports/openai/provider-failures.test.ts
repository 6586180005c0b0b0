// What a model's provider refuses, warns of or breaks off, as OpenAI's own client and a native client see it. The provider is
// a stand-in server.
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { KEY, provide } from '../../model/test/model-at.ts'
import {
  beginSse,
  chatChunk,
  type ProviderRequest,
  type ProviderServer,
  sendSse,
} from '../../model/test/provider-server.ts'
import { PlayedModel } from '../../run/test/engine-harness.ts'
import { failure, OpenAiHarness } from './test/openai-harness.ts'

let h: OpenAiHarness | undefined
afterEach(async () => {
  await h?.close()
  h = undefined
})

const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'hi' }]
const chat = { model: 'compatible:m', messages }
const response = { model: 'compatible:m', input: 'hi' }

async function open(answer: (request: ProviderRequest) => void): Promise<{ h: OpenAiHarness; server: ProviderServer }> {
  const server = await provide(answer)
  h = await OpenAiHarness.open({
    PARLEY_MODEL: 'compatible:m',
    PARLEY_COMPATIBLE_URL: `${server.url}/v1`,
    PARLEY_COMPATIBLE_KEY: KEY,
  })
  return { h, server }
}

function refuse(status: number, error: object, headers: Record<string, string> = {}) {
  return ({ response }: ProviderRequest): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify({ error }))
  }
}

function say(...events: unknown[]) {
  return ({ response }: ProviderRequest): void => {
    beginSse(response)
    sendSse(response, events)
    response.end()
  }
}

/** As programs use it: with the retries of its default settings. */
const retrying = (own: OpenAiHarness): OpenAI => new OpenAI({ apiKey: 'none', baseURL: `${own.server.url}/v1` })

describe('a permanent refusal of the provider', () => {
  // It was a 502 without the reason, which OpenAI's clients repeat: three paid runs of each request, or four.
  const reason = `temperature must be at most 2 (see http://10.0.0.1/docs), key ${KEY}, org-12345678901`
  const requests: readonly (readonly [string, (client: OpenAI) => Promise<unknown>])[] = [
    ['a chat completion', (client) => client.chat.completions.create(chat)],
    ['its stream', (client) => client.chat.completions.create({ ...chat, stream: true })],
    ['a response', (client) => client.responses.create(response)],
    ['the stream of a response', (client) => client.responses.create({ ...response, stream: true })],
  ]
  it.each(requests)('is its 4xx with its reason, after one call: %s', async (_, request) => {
    const { h, server } = await open(refuse(400, { message: reason, type: 'invalid_request_error' }))
    const error = await failure(request(retrying(h)))
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
    expect(error).toMatchObject({ type: 'invalid_request_error', code: 'provider_error', param: null })
    expect(error.message).toBe(
      '400 The model provider refused the request (HTTP 400): temperature must be at most 2 (see [removed]), key [removed], [removed]',
    )
    expect(error.headers?.get('x-should-retry')).toBe('false')
    expect(server.requests).toHaveLength(1)
  })

  it('has the same reason, status and `retryable` on Parley’s own transports', async () => {
    const { h, server } = await open(refuse(404, { message: 'The model `m` does not exist', code: 'model_not_found' }))
    const answer = await h.post('/v1/sessions/s/messages', { content: 'hi' })
    const message = 'The model provider refused the request (HTTP 404): The model `m` does not exist'
    expect(await answer.json()).toMatchObject({
      code: 'provider_error',
      detail: message,
      retryable: false,
      result: { error: { code: 'provider_error', message, retryable: false, providerStatus: 404 } },
    })
    expect(server.requests).toHaveLength(1)
  })

  it('has a status that clients do not misread', async () => {
    const cases: readonly (readonly [number, object, object])[] = [
      [404, {}, { status: 404, type: 'invalid_request_error' }],
      [413, {}, { status: 413, type: 'invalid_request_error' }],
      [422, {}, { status: 422, type: 'invalid_request_error' }],
      [402, {}, { status: 402, type: 'invalid_request_error' }],
      [405, {}, { status: 400, type: 'invalid_request_error' }],
      [426, {}, { status: 400, type: 'invalid_request_error' }],
      // The server's key, not the caller's.
      [401, {}, { status: 403, code: 'provider_unauthenticated' }],
      [403, {}, { status: 403, code: 'provider_unauthenticated' }],
      // async-openai repeats a 429 of any other type.
      [429, { type: 'insufficient_quota' }, { status: 429, type: 'insufficient_quota', code: 'insufficient_quota' }],
    ]
    let at = 0
    const { h, server } = await open((request) => {
      const [status = 500, more] = cases[at] ?? []
      refuse(status, { message: 'no', ...more })(request)
    })
    for (const [status, , expected] of cases) {
      const error = await failure(retrying(h).chat.completions.create(chat))
      expect(error, String(status)).toMatchObject(expected)
      at += 1
      expect(error.headers?.get('x-should-retry')).toBe('false')
    }
    expect(server.requests).toHaveLength(cases.length)
  })

  it('inside an answer is the same, by its number or its word', async () => {
    const errors = [
      [{ message: 'too long', type: 'BadRequestError', code: 400 }, 400],
      [{ message: 'no such model', type: 'not_found_error' }, 404],
    ] as const
    let at = 0
    const { h } = await open((request) => say({ error: errors[at]?.[0] })(request))
    for (const [{ message }, status] of errors) {
      const error = await failure(h.client.chat.completions.create(chat))
      expect(error).toMatchObject({ status, code: 'provider_error' })
      expect(error.message).toContain(message)
      at += 1
    }
  })
})

describe('a refusal of a part of the conversation', () => {
  // The server asked again without files, and with calls as words: the answer was a 200 that only `parley.notices` told from a true one.
  const url = 'data:image/png;base64,iVBORw0KGgo='
  const image = [
    { role: 'user' as const, content: [{ type: 'input_image' as const, image_url: url, detail: 'auto' as const }] },
  ]
  const calls = [
    { type: 'function_call' as const, call_id: 'c1', name: 'weather', arguments: '{}' },
    { type: 'function_call_output' as const, call_id: 'c1', output: 'warm' },
    { role: 'user' as const, content: 'and now?' },
  ]
  const image_url: OpenAI.ChatCompletionMessageParam[] = [
    { role: 'user', content: [{ type: 'image_url', image_url: { url } }] },
  ]
  const tool_calls: OpenAI.ChatCompletionMessageParam[] = [
    {
      role: 'assistant',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'warm' },
    { role: 'user', content: 'and now?' },
  ]
  const model = 'compatible:m'
  const requests: readonly (readonly [string, string, (client: OpenAI) => Promise<unknown>])[] = [
    ['a file', 'a completion', ({ chat }) => chat.completions.create({ model, messages: image_url })],
    ['a file', 'a stream', ({ chat }) => chat.completions.create({ model, messages: image_url, stream: true })],
    ['a file', 'a response', ({ responses }) => responses.create({ model, input: image })],
    ['a file', 'a shortened one', ({ responses }) => responses.create({ model, input: image, truncation: 'auto' })],
    ['a call', 'a completion', ({ chat }) => chat.completions.create({ model, messages: tool_calls })],
    ['a call', 'a response', ({ responses }) => responses.create({ model, input: calls })],
    ['a call', 'a shortened one', ({ responses }) => responses.create({ model, input: calls, truncation: 'auto' })],
  ]
  const PART = /"type":"image_url"|"tool_calls"/
  const answer = say(chatChunk({ content: 'ok' }, 'stop'), '[DONE]')

  it.each(requests)('with %s reaches the caller of %s, after one call', async (_, __, request) => {
    const refusal = refuse(400, { message: 'this model does not accept it' })
    const { h, server } = await open((asked) => (PART.test(asked.text) ? refusal : answer)(asked))
    const error = await failure(request(retrying(h)))
    expect(error).toMatchObject({ status: 400, code: 'provider_error' })
    expect(error.message).toContain('this model does not accept it')
    expect(server.requests).toHaveLength(1)
  })

  it('because of its size leaves out the oldest messages if `truncation` is `auto`, and no file', async () => {
    const { h, server } = await open((asked) =>
      (asked.text.length > 100_000 ? refuse(413, { message: 'too large' }) : answer)(asked),
    )
    const input = [{ role: 'user' as const, content: 'word '.repeat(30_000) }, ...image]
    const { output_text } = await h.client.responses.create({ model, input, truncation: 'auto' })
    expect(output_text).toBe('ok')
    expect(server.requests.map(({ text }) => PART.test(text))).toEqual([true, true])
  })
})

describe('a passing failure of the provider', () => {
  it('is retried by OpenAI’s client, which then gets the answer', async () => {
    let calls = 0
    const { h } = await open((request) => {
      calls += 1
      // The first answer breaks off after its first output.
      const end = calls === 1 ? [] : [chatChunk({ content: 'lo' }, 'stop'), '[DONE]']
      say(chatChunk({ content: 'Hel' }), ...end)(request)
    })
    const completion = await retrying(h).chat.completions.create(chat)
    expect(completion.choices[0]?.message.content).toBe('Hello')
    expect(calls).toBe(2)
  })

  it('says so, with the provider’s wait, whole and streamed', async () => {
    const { h, server } = await open(refuse(503, { message: 'overloaded' }, { 'retry-after': '3600' }))
    for (const stream of [false, true]) {
      const error = await failure(h.client.chat.completions.create({ ...chat, stream }))
      expect(error).toMatchObject({ status: 502, type: 'server_error' })
      expect(error.message).not.toContain('overloaded')
      const { headers } = error
      expect([headers?.get('x-should-retry'), headers?.get('retry-after')]).toEqual(['true', '3600'])
    }
    expect(server.requests).toHaveLength(2)
  })

  it('is final for a request with a key, which finds the same failed run', async () => {
    const { h, server } = await open(refuse(503, {}, { 'retry-after': '3600' }))
    const options = { headers: { 'Idempotency-Key': 'once' } }
    const error = await failure(retrying(h).chat.completions.create(chat, options))
    expect(error.headers?.get('x-should-retry')).toBe('false')
    expect(server.requests).toHaveLength(1)
  })
})

describe('an answer that ends without a finish reason', () => {
  const words = 'The model provider ended the answer without a finish reason, so it may be incomplete.'
  // llama-cpp-python ends a cut answer so.
  const cut = say(chatChunk({ content: 'Hel' }), chatChunk({ content: 'lo' }), '[DONE]')

  it('fails a chat completion, which keeps its text and says so', async () => {
    const { h } = await open(cut)
    const error = await failure(h.client.chat.completions.create(chat))
    expect(error).toMatchObject({ status: 502, code: 'provider_disconnected', message: `502 ${words}` })
    expect(error.error).toMatchObject({ content: 'Hello' })
  })

  it('fails the stream of a chat completion after its text', async () => {
    const { h } = await open(cut)
    let text = ''
    const read = async (): Promise<void> => {
      for await (const { choices } of await h.client.chat.completions.create({ ...chat, stream: true })) {
        text += choices[0]?.delta.content ?? ''
      }
    }
    expect((await failure(read())).message).toContain(words)
    expect(text).toBe('Hello')
  })

  it('fails a response, whole and streamed, which keeps its text and says so', async () => {
    const { h } = await open(cut)
    const failed = { status: 'failed', error: { code: 'server_error', message: words } }
    const whole = await h.client.responses.create(response)
    expect(whole).toMatchObject(failed)
    expect(whole.output_text).toBe('Hello')
    const events: OpenAI.Responses.ResponseStreamEvent[] = []
    for await (const event of await h.client.responses.create({ ...response, stream: true })) events.push(event)
    const last = events.at(-1)
    expect(last).toMatchObject({ type: 'response.failed', response: failed })
    // The event is the end, as with OpenAI: the body is complete, unlike that of a chat completion.
    const body = await (await h.post('/v1/responses', { ...response, stream: true })).text()
    expect(body.trim().split('\n\n').at(-1)).toMatch(/^event: response\.failed\n/)
    expect(JSON.stringify(last)).toContain('"Hello"')
  })

  it('fails a message on Parley’s own transports, which keeps its text and says so', async () => {
    const { h } = await open(cut)
    const answer = await h.post('/v1/sessions/s/messages', { content: 'hi' })
    expect(await answer.json()).toMatchObject({
      detail: words,
      retryable: true,
      result: { text: 'Hello', error: { message: words, retryable: true } },
    })
  })
})

async function played(): Promise<{ h: OpenAiHarness; model: PlayedModel }> {
  const model = new PlayedModel()
  h = await OpenAiHarness.open({}, { models: { defaultId: 'played', ids: ['played'], get: () => model } })
  return { h, model }
}

async function chunksOf<T>(stream: Promise<AsyncIterable<T>>): Promise<T[]> {
  const chunks: T[] = []
  for await (const chunk of await stream) chunks.push(chunk)
  return chunks
}

describe('notices', () => {
  const asked = { model: 'played', messages, seed: 1, temperature: 0.5 }
  const notices = [
    { code: 'option_ignored', option: 'temperature', message: 'not for reasoning models' },
    { code: 'provider_warning', message: 'system messages are removed for this model' },
  ]
  async function warn(model: PlayedModel): Promise<void> {
    const call = await model.next()
    call.warn(
      { type: 'unsupported', feature: 'temperature', details: 'not for reasoning models' },
      { type: 'other', message: 'system messages are removed for this model' },
      // Nobody asked for it.
      { type: 'unsupported', feature: 'topP' },
    )
    call.text('Hello')
    call.finish()
  }

  it('are in a field and a header of a chat completion, and in the last chunk of its stream', async () => {
    const { h, model } = await played()
    const creating = h.client.chat.completions.create(asked).withResponse()
    await warn(model)
    const { data, response } = await creating
    expect(data).toMatchObject({ parley: { notices } })
    expect(response.headers.get('parley-notices')).toBe('option_ignored;option=temperature, provider_warning')

    const streaming = chunksOf(h.client.chat.completions.create({ ...asked, stream: true }))
    await warn(model)
    const chunks = await streaming
    expect(chunks.at(-1)).toMatchObject({ choices: [{ finish_reason: 'stop' }], parley: { notices } })
    expect(chunks.slice(0, -1).filter((chunk) => 'parley' in chunk)).toEqual([])
  })

  it('are in a field of a response, whole and streamed', async () => {
    const { h, model } = await played()
    const request = { model: 'played', input: 'hi', temperature: 0.5 }
    const creating = h.client.responses.create(request)
    await warn(model)
    expect(await creating).toMatchObject({ status: 'completed', parley: { notices } })
    const streaming = chunksOf(h.client.responses.create({ ...request, stream: true }))
    await warn(model)
    expect((await streaming).at(-1)).toMatchObject({ type: 'response.completed', response: { parley: { notices } } })
  })

  it('are absent without a warning', async () => {
    const { h, model } = await played()
    const creating = h.client.chat.completions.create(asked).withResponse()
    const call = await model.next()
    call.warn()
    call.finish()
    const { data, response } = await creating
    expect([Object.keys(data).includes('parley'), response.headers.has('parley-notices')]).toEqual([false, false])
  })

  it('become an error if the caller relies on the option', async () => {
    const { h, model } = await played()
    const json_schema = { name: 'place', strict: true, schema: { type: 'object' } }
    const refused = failure(
      retrying(h).chat.completions.create({ ...asked, response_format: { type: 'json_schema', json_schema } }),
    )
    const call = await model.next()
    call.warn({ type: 'unsupported', feature: 'temperature' }, { type: 'unsupported', feature: 'responseFormat' })
    const error = await refused
    expect(error).toMatchObject({ status: 400, code: 'option_unsupported', type: 'invalid_request_error' })
    expect(error.headers?.get('parley-notices')).toBe('option_ignored;option=temperature')
    expect(model.calls).toHaveLength(1)
  })
})

describe('text before and after a tool call', () => {
  const tools: OpenAI.ChatCompletionTool[] = [{ type: 'function', function: { name: 'weather' } }]
  const text = 'Let me see.\n\nIt is warm.'
  // It was "Let me see.It is warm."
  async function play(model: PlayedModel): Promise<void> {
    const call = await model.next()
    call.text('Let me ')
    call.text('see.')
    call.tool('weather', {})
    call.text('It is ')
    call.text('warm.')
    call.finish('tool-calls')
  }

  it('does not run together in a chat completion, whole and streamed', async () => {
    const { h, model } = await played()
    const request = { model: 'played', messages, tools }
    const creating = h.client.chat.completions.create(request)
    await play(model)
    expect((await creating).choices[0]?.message.content).toBe(text)
    const streaming = chunksOf(h.client.chat.completions.create({ ...request, stream: true }))
    await play(model)
    expect((await streaming).map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(text)
  })

  it('does not run together in a response, whole, streamed, and read again later', async () => {
    const { h, model } = await played()
    const request = {
      model: 'played',
      input: 'hi',
      tools: [{ type: 'function' as const, name: 'weather', parameters: null, strict: false }],
    }
    const creating = h.client.responses.create(request)
    await play(model)
    expect((await creating).output_text).toBe(text)
    const streaming = chunksOf(h.client.responses.create({ ...request, stream: true }))
    await play(model)
    const events = await streaming
    const textOf = (all: readonly OpenAI.Responses.ResponseStreamEvent[]): string =>
      all.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('')
    expect(textOf(events)).toBe(text)
    const last = events.at(-1)
    if (last?.type !== 'response.completed') throw new Error('the response did not complete')
    expect(textOf(await chunksOf(h.client.responses.retrieve(last.response.id, { stream: true })))).toBe(text)
  })
})
