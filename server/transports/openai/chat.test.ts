// Chat completions and models, tested with OpenAI's own client.
import { ReplyError } from '@parley/protocol'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoReasoning, demoText } from '../../model/demo-answer.ts'
import { PlayedModel } from '../../run/test/engine-harness.ts'
import { resolveModel } from './model-routes.ts'
import { failure, OpenAiHarness } from './test/openai-harness.ts'

let h: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open()
})
afterAll(() => h.close())

const ask = (content: string): OpenAI.ChatCompletionUserMessageParam[] => [{ role: 'user', content }]
const WEATHER: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}

describe('a chat completion', () => {
  it('returns the whole answer, with its usage', async () => {
    const completion = await h.client.chat.completions.create({ model: 'demo', messages: ask('/demo count=20 rate=0') })
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'demo',
      choices: [
        { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: demoText('/demo count=20') } },
      ],
    })
    const { prompt_tokens, completion_tokens, total_tokens } = completion.usage ?? {}
    expect(completion_tokens).toBe(20)
    expect(total_tokens).toBe((prompt_tokens ?? 0) + 20)
    expect(Math.abs(completion.created - Date.now() / 1000)).toBeLessThan(60)
  })

  it('is a run of a session, stored in the log', async () => {
    const { id } = await h.client.chat.completions.create({ model: 'demo', messages: ask('/demo count=3 rate=0') })
    expect(id).toMatch(/^chatcmpl-run_[a-z0-9]+-chat_[a-z0-9]+$/)
    const message = await h.eventUntil(id, (event) => event.type === 'message')
    expect(message).toMatchObject({ content: [{ type: 'text', text: '/demo count=3 rate=0' }], model: 'demo' })
  })

  it('streams chunks, the last one with the usage on request', async () => {
    const stream = await h.client.chat.completions.create({
      model: 'demo',
      messages: ask('/demo count=30 rate=300 ttft=0 reasoning=4'),
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks: OpenAI.ChatCompletionChunk[] = []
    for await (const chunk of stream) chunks.push(chunk)
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta))
    expect(deltas[0]).toMatchObject({ role: 'assistant', content: '' })
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe(demoText('/demo count=30'))
    const reasoning = deltas.map((delta) => (delta as { reasoning_content?: string }).reasoning_content ?? '')
    expect(reasoning.join('')).toBe(demoReasoning('/demo count=30 reasoning=4'))
    expect(chunks.slice(0, -1).map(({ usage }) => usage)).toEqual(chunks.slice(1).map(() => null))
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 34 } })
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop')
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
    // Chunks are sent as they arrive; several are merged only by chance.
    expect(chunks.length).toBeGreaterThan(5)
  })

  it('calls tools, and continues with their results', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'system', content: 'Be exact.' },
      ...ask('/demo count=3 rate=0 tool=weather input={"city":"Oslo"} tool=weather input={"city":"Bern"}'),
    ]
    const asked = await h.client.chat.completions.create({ model: 'demo', messages, tools: [WEATHER] })
    const [choice] = asked.choices
    expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } })
    const calls = choice?.message.tool_calls ?? []
    expect(calls.map((call) => (call.type === 'function' ? JSON.parse(call.function.arguments) : undefined))).toEqual([
      { city: 'Oslo' },
      { city: 'Bern' },
    ])
    const results = calls.map(({ id }, at) => ({ role: 'tool' as const, tool_call_id: id, content: `${at} degrees` }))
    const more = choice === undefined ? [] : [choice.message, ...results]
    const answered = await h.client.chat.completions.create({
      model: 'demo',
      messages: [...messages, ...more],
      tools: [WEATHER],
    })
    expect(answered.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: '"0 degrees"\n"1 degrees"\n0 1 2' },
    })
  })

  it('streams tool calls that the client can assemble', async () => {
    const runner = h.client.chat.completions.stream({
      model: 'demo',
      messages: ask('/demo tool=weather input={"city":"Oslo"} tool=weather input={"city":"Bern"}'),
      tools: [WEATHER],
    })
    const completion = await runner.finalChatCompletion()
    const [choice] = completion.choices
    expect(choice?.finish_reason).toBe('tool_calls')
    expect(choice?.message.tool_calls).toMatchObject([
      { type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
      { type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } },
    ])
  })

  it('ends with `length` at the token limit', async () => {
    const messages = ask('/demo count=50 rate=0')
    const { choices } = await h.client.chat.completions.create({ model: 'demo', messages, max_completion_tokens: 5 })
    expect(choices[0]?.finish_reason).toBe('length')
    const text = choices[0]?.message.content ?? ''
    expect(text.length).toBeGreaterThan(0)
    expect(demoText('/demo count=50').startsWith(text)).toBe(true)
  })

  it('returns the same answer for the same key, and 422 for another body', async () => {
    const options = { headers: { 'Idempotency-Key': 'a key, of some kind'.replaceAll(' ', '.') } }
    const body = { model: 'demo', messages: ask('/demo count=9 rate=0') }
    const first = await h.client.chat.completions.create(body, options)
    expect(await h.client.chat.completions.create(body, options)).toEqual(first)
    const streamed = h.client.chat.completions.stream(body, options)
    expect((await streamed.finalChatCompletion()).id).toBe(first.id)
    const other = h.client.chat.completions.create({ ...body, temperature: 0.5 }, options)
    expect(await failure(other)).toMatchObject({ status: 422, code: 'command_id_reused' })
  })
})

describe('the bytes of a stream', () => {
  // After a comment, go-openai reports an error without its message. fetch-event-source passes on an empty line as an event.
  it.each([
    ['/v1/chat/completions', { messages: ask('/demo count=2 rate=0 ttft=5000') }],
    ['/v1/responses', { input: '/demo count=2 rate=0 ttft=5000' }],
  ])('of %s contain no comment and no block without data, also while the model is silent', async (path, body) => {
    const own = await OpenAiHarness.open({ PARLEY_HEARTBEAT_MS: '1000' })
    try {
      const response = await own.post(path, { model: 'demo', stream: true, ...body })
      const text = await response.text()
      expect(text).toMatch(/^ \n/)
      // Heartbeats.
      expect(text).toMatch(/\n\n( \n){2,}(data|event): /)
      expect(text).not.toMatch(/^:/m)
      for (const block of text.replace(/\n\n( \n)*$/, '').split('\n\n')) expect(block).toMatch(/^data: /m)
    } finally {
      await own.close()
    }
  })
})

describe('a disconnected client', () => {
  async function disconnectAfter(chunks: number, more: { store?: boolean }, headers: Record<string, string> = {}) {
    const stream = await h.client.chat.completions.create(
      { model: 'demo', messages: ask('/demo count=100 rate=40 ttft=0'), stream: true, ...more },
      { headers },
    )
    let id = ''
    let seen = 0
    for await (const chunk of stream) {
      id = chunk.id
      seen += 1
      if (seen === chunks) break
    }
    return id
  }

  it('has its run cancelled after a short time', async () => {
    const id = await disconnectAfter(3, {})
    const ended = await h.eventUntil(id, ({ type }) => type === 'run.ended')
    expect(ended).toMatchObject({ reason: 'cancelled' })
    expect(ended).not.toMatchObject({ next: 100 })
  })

  it('gets the whole answer later if it is stored, or has a key', async () => {
    const [stored, keyed] = await Promise.all([
      disconnectAfter(2, { store: true }),
      disconnectAfter(2, {}, { 'Idempotency-Key': 'back' }),
    ])
    for (const id of [stored, keyed]) {
      expect(await h.eventUntil(id, ({ type }) => type === 'run.ended')).toMatchObject({ reason: 'completed' })
    }
    const again = h.client.chat.completions.stream(
      { model: 'demo', messages: ask('/demo count=100 rate=40 ttft=0') },
      { headers: { 'Idempotency-Key': 'back' } },
    )
    expect((await again.finalChatCompletion()).choices[0]?.message.content).toBe(demoText('/demo count=100'))
  })

  // It has no id, so it could not find a stored completion either.
  const waiting: readonly (readonly [string, { readonly store?: boolean; readonly stream?: boolean }])[] = [
    ['waited for the whole answer', {}],
    ['waited for the whole answer, which is stored', { store: true }],
    ['waited for the first chunk of a stored stream', { store: true, stream: true }],
  ]
  it.each(waiting)('has its run cancelled also if it %s', async (_, more) => {
    const model = new PlayedModel()
    const played = await OpenAiHarness.open({}, { models: { defaultId: 'played', ids: ['played'], get: () => model } })
    try {
      const controller = new AbortController()
      const { signal } = controller
      const body = { model: 'played', messages: ask('hi'), ...more }
      const request = played.client.chat.completions.create(body, { signal })
      const rejected = expect(request).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
      const call = await model.next()
      controller.abort()
      await rejected
      await call.aborted
    } finally {
      await played.close()
    }
  })
})

describe('an error', () => {
  it('of the model before and after its first output', async () => {
    const request = { model: 'demo', messages: ask('/demo count=9 rate=0 fail=3') }
    const whole = await failure(h.client.chat.completions.create(request))
    expect(whole).toMatchObject({ status: 502, type: 'server_error' })
    const stream = await h.client.chat.completions.create({ ...request, stream: true })
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    }
    expect(await failure(read())).toMatchObject({ type: 'server_error', code: whole.code })
  })

  // langchain4j takes a clean end for success, also after an error.
  it('of a stream is followed by a cut instead of a clean end', async () => {
    const body = { model: 'demo', messages: ask('/demo count=9 rate=0 fail=3'), stream: true }
    const response = await h.post('/v1/chat/completions', body)
    let text = ''
    const read = async (): Promise<void> => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString()
    }
    await expect(read()).rejects.toThrow('terminated')
    expect(text).toMatch(/data: \{"error":[^\n]+\n\n( \n)?$/)
  })

  it('of a cancelled run has the code `cancelled`, whole and streamed', async () => {
    const body = { model: 'demo', messages: ask('/demo count=2 rate=0 hang=1') }
    const options = { headers: { 'Idempotency-Key': 'to-be-cancelled' } }
    const stream = await h.client.chat.completions.create({ ...body, stream: true }, options)
    const read = async (): Promise<void> => {
      for await (const { id, choices } of stream) {
        if ((choices[0]?.delta.content ?? '') === '') continue
        const [, session = ''] = /^chatcmpl-run_[a-z0-9]+-(.+)$/.exec(id) ?? []
        await h.post(`/v1/sessions/${session}/cancel`, {})
      }
    }
    expect(await failure(read())).toMatchObject({ code: 'cancelled' })
    expect(await failure(h.client.chat.completions.create(body, options))).toMatchObject({
      status: 422,
      code: 'cancelled',
    })
  })

  it('for an unavailable model is a 404 with OpenAI’s code', async () => {
    const request = h.client.chat.completions.create({ model: 'gpt-9', messages: ask('hi') })
    const error = await failure(request)
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model', type: 'invalid_request_error' })
  })

  const good = { model: 'demo', messages: [{ role: 'user', content: 'hi' }] }
  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['no model', { messages: good.messages }, 'model'],
    ['a model of a wrong type', { ...good, model: 7 }, 'model'],
    ['no messages', { model: 'demo' }, 'messages'],
    ['an empty list', { ...good, messages: [] }, 'messages'],
    ['an unknown role', { ...good, messages: [{ role: 'poet', content: 'hi' }] }, 'messages[0].role'],
    ['content of a wrong type', { ...good, messages: [{ role: 'user', content: 7 }] }, 'messages[0].content'],
    [
      'an image with an invalid URL',
      {
        ...good,
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'ftp://127.0.0.1/x' } }] }],
      },
      'messages[0].content[0].image_url.url',
    ],
    ['stream', { ...good, stream: 'yes' }, 'stream'],
    ['stream_options', { ...good, stream_options: 1 }, 'stream_options'],
    ['n', { ...good, n: 2 }, 'n'],
    ['store', { ...good, store: 'yes' }, 'store'],
    ['metadata', { ...good, metadata: { a: 1 } }, 'metadata.a'],
    ['temperature', { ...good, temperature: 3 }, 'temperature'],
    ['top_p', { ...good, top_p: '1' }, 'top_p'],
    ['presence_penalty', { ...good, presence_penalty: 5 }, 'presence_penalty'],
    ['frequency_penalty', { ...good, frequency_penalty: [] }, 'frequency_penalty'],
    ['max_tokens', { ...good, max_tokens: 0 }, 'max_tokens'],
    ['max_completion_tokens', { ...good, max_completion_tokens: 1.5 }, 'max_completion_tokens'],
    ['stop', { ...good, stop: 7 }, 'stop'],
    ['seed', { ...good, seed: 'x' }, 'seed'],
    ['logprobs', { ...good, logprobs: true }, 'logprobs'],
    ['functions', { ...good, functions: [] }, 'functions'],
    ['response_format', { ...good, response_format: { type: 'xml' } }, 'response_format.type'],
    ['tools', { ...good, tools: {} }, 'tools'],
    ['a tool of another kind', { ...good, tools: [{ type: 'custom' }] }, 'tools[0].type'],
    [
      'the name of a tool',
      { ...good, tools: [{ type: 'function', function: { name: 'a b' } }] },
      'tools[0].function.name',
    ],
    ['tool_choice', { ...good, tool_choice: 'maybe' }, 'tool_choice'],
    [
      'a choice of an unknown tool',
      { ...good, tool_choice: { type: 'function', function: { name: 'x' } } },
      'tool_choice',
    ],
  ]
  it.each(wrong)('of the request names the field: %s', async (_, body, param) => {
    const response = await h.post('/v1/chat/completions', body)
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({
      error: { message: expect.any(String), type: 'invalid_request_error', param, code: null },
    })
  })

  it('of the body, the key or the method has the same format', async () => {
    const broken = await h.post('/v1/chat/completions', '{')
    const key = await h.post('/v1/chat/completions', good, { 'Idempotency-Key': 'two words' })
    const method = await fetch(`${h.server.url}/v1/chat/completions`)
    expect([broken.status, key.status, method.status]).toEqual([400, 400, 405])
    for (const response of [broken, key, method]) {
      expect(await response.json()).toMatchObject({
        error: { message: expect.any(String), type: 'invalid_request_error' },
      })
    }
  })
})

describe('models', () => {
  it('can be listed and retrieved', async () => {
    const list = await h.client.models.list()
    expect(list.data).toEqual([{ id: 'demo', object: 'model', created: 0, owned_by: 'parley' }])
    expect(await h.client.models.retrieve('demo')).toMatchObject({ id: 'demo' })
    expect(await failure(h.client.models.retrieve('other/model:7b'))).toMatchObject({
      status: 404,
      code: 'model_not_found',
    })
  })

  it('are found by the names that other servers use', () => {
    const ids = ['demo', 'openai:gpt-5', 'compatible:llama/3:8b']
    expect(['demo', 'gpt-5', 'openai:gpt-5', 'llama/3:8b'].map((name) => resolveModel(ids, name))).toEqual([
      'demo',
      'openai:gpt-5',
      'openai:gpt-5',
      'compatible:llama/3:8b',
    ])
    expect(resolveModel(['demo', 'openai:*'], 'ft:gpt-5:me')).toBe('openai:ft:gpt-5:me')
    expect(resolveModel(['demo', 'openai:*'], 'openai:gpt-5')).toBe('openai:gpt-5')
    const ambiguous = ['demo', 'openai:*', 'google:*']
    for (const name of ['gpt-5', '', '*', 'openai:*']) {
      expect(() => resolveModel(ambiguous, name)).toThrow(ReplyError)
    }
  })
})

describe('with authentication', () => {
  it('a missing access token gets OpenAI’s error', async () => {
    const guarded = await OpenAiHarness.open({ PARLEY_JWT_SECRET: 'a secret that is long enough to be one' })
    try {
      const error = await failure(guarded.client.models.list())
      expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'invalid_request_error' })
    } finally {
      await guarded.close()
    }
  })
})
