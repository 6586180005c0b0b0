// Options of OpenAI's requests that the server passes on: what each provider gets, and what is refused because the
// provider does not support it. The providers here only record their requests.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createModelCatalog } from '../../model/model-catalog.ts'
import { type ProviderServer, startProviderServer } from '../../model/test/provider-server.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const MODELS = {
  openai: 'openai:gpt-5.2',
  anthropic: 'anthropic:claude-opus-4-6',
  google: 'google:gemini-3-pro',
  compatible: 'compatible:m',
} as const
type Provider = keyof typeof MODELS
const PROVIDERS = Object.keys(MODELS) as Provider[]

let server: ProviderServer
let h: OpenAiHarness
beforeAll(async () => {
  server = await startProviderServer(({ response }) => {
    response.writeHead(400, { 'content-type': 'application/json' })
    response.end('{"error":{"message":"enough","type":"invalid_request_error"}}')
  })
  const at = { url: server.url, key: 'sk-test' }
  const models = createModelCatalog({
    model: MODELS.compatible,
    models: Object.values(MODELS),
    ...{ openai: at, anthropic: at, google: at, compatible: at },
  })
  h = await OpenAiHarness.open({}, { models })
})
afterAll(async () => {
  await h.close()
  await server.stop()
})

const CHAT = '/v1/chat/completions'
const RESPONSES = '/v1/responses'

/** @returns what the provider received, or the field that the answer refuses */
async function send(path: string, provider: Provider, fields: object): Promise<unknown> {
  const before = server.requests.length
  const input = path === CHAT ? { messages: [{ role: 'user', content: 'hi' }] } : { input: 'hi' }
  const answer = await h.post(path, { model: MODELS[provider], ...input, ...fields })
  const text = await answer.text()
  if (server.requests.length > before) return server.requests[before]?.body
  expect(answer.status).toBe(400)
  return (JSON.parse(text) as { error: { param: string } }).error.param
}

/** What a provider gets instead of the field: an object that its request contains, nothing, or an error with this `param`. */
type Expected = object | 'nothing' | `${string}!`
const NOTHING = 'nothing'

const CASES: readonly (readonly [path: string, fields: object, Readonly<Record<Provider, Expected>>])[] = [
  [
    CHAT,
    { reasoning_effort: 'low' },
    {
      openai: { reasoning: { effort: 'low' } },
      anthropic: { output_config: { effort: 'low' } },
      google: { generationConfig: { thinkingConfig: { thinkingLevel: 'low' } } },
      compatible: { reasoning_effort: 'low' },
    },
  ],
  [
    RESPONSES,
    { reasoning: { effort: 'none', generate_summary: 'auto' } },
    {
      openai: { reasoning: { effort: 'none', summary: 'auto' } },
      anthropic: { thinking: { type: 'disabled' } },
      google: 'reasoning.effort!',
      compatible: { reasoning_effort: 'none' },
    },
  ],
  [
    RESPONSES,
    { reasoning: { mode: 'pro' } },
    {
      openai: { reasoning: { mode: 'pro' } },
      anthropic: 'reasoning.mode!',
      google: 'reasoning.mode!',
      compatible: 'reasoning.mode!',
    },
  ],
  [
    CHAT,
    { verbosity: 'low' },
    {
      openai: { text: { verbosity: 'low' } },
      anthropic: 'verbosity!',
      google: 'verbosity!',
      compatible: { verbosity: 'low' },
    },
  ],
  [
    RESPONSES,
    { text: { verbosity: 'high' } },
    {
      openai: { text: { verbosity: 'high' } },
      anthropic: 'text.verbosity!',
      google: 'text.verbosity!',
      compatible: { verbosity: 'high' },
    },
  ],
  [
    CHAT,
    { logit_bias: { '50256': -100 } },
    {
      openai: 'logit_bias!',
      anthropic: 'logit_bias!',
      google: 'logit_bias!',
      compatible: { logit_bias: { '50256': -100 } },
    },
  ],
  [
    CHAT,
    { parallel_tool_calls: false, tools: [{ type: 'function', function: { name: 'f' } }] },
    {
      openai: { parallel_tool_calls: false },
      anthropic: { tool_choice: { disable_parallel_tool_use: true } },
      google: 'parallel_tool_calls!',
      compatible: { parallel_tool_calls: false },
    },
  ],
  [
    RESPONSES,
    { service_tier: 'flex' },
    {
      openai: { service_tier: 'flex' },
      anthropic: 'service_tier!',
      google: { serviceTier: 'flex' },
      compatible: { service_tier: 'flex' },
    },
  ],
  [
    RESPONSES,
    { prompt_cache_key: 'k', prompt_cache_retention: '24h', safety_identifier: 's' },
    {
      openai: { prompt_cache_key: 'k', prompt_cache_retention: '24h', safety_identifier: 's' },
      anthropic: { metadata: { user_id: 's' } },
      google: NOTHING,
      compatible: NOTHING,
    },
  ],
  [
    CHAT,
    { user: 'u' },
    { openai: { user: 'u' }, anthropic: { metadata: { user_id: 'u' } }, google: NOTHING, compatible: { user: 'u' } },
  ],
  [RESPONSES, { store: false }, { openai: { store: false }, anthropic: NOTHING, google: NOTHING, compatible: NOTHING }],
  [
    CHAT,
    {
      verbosity: 'medium',
      parallel_tool_calls: true,
      service_tier: 'auto',
      tools: [{ type: 'function', function: { name: 'f' } }],
    },
    {
      openai: { text: { verbosity: 'medium' }, parallel_tool_calls: true },
      anthropic: NOTHING,
      google: NOTHING,
      compatible: { verbosity: 'medium', parallel_tool_calls: true },
    },
  ],
]

describe.each(PROVIDERS)('%s', (provider) => {
  it.each(CASES.map(([path, fields, expected]) => ({ path, fields, expected: expected[provider] })))(
    'gets $fields of $path as $expected',
    async ({ path, fields, expected }) => {
      const got = await send(path, provider, fields)
      if (typeof expected === 'object') expect(got).toMatchObject(expected)
      else if (expected !== NOTHING) expect(`${got}!`).toBe(expected)
      else {
        expect(got).toBeTypeOf('object')
        for (const name of Object.keys(fields)) if (name !== 'tools') expect(got).not.toHaveProperty(name)
      }
    },
  )
})

it('passes on to a compatible server what is the same in both APIs', async () => {
  const sampling = { temperature: 0.5, top_p: 0.9, presence_penalty: 1, frequency_penalty: -1, seed: 7, stop: ['.'] }
  expect(await send(CHAT, 'compatible', { ...sampling, stop: '.' })).toMatchObject(sampling)
  const choice = { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'required' }
  expect(await send(CHAT, 'compatible', choice)).toMatchObject({ tool_choice: 'required' })
  const named = { tools: [{ type: 'function', name: 'f' }], tool_choice: { type: 'function', name: 'f' } }
  expect(await send(RESPONSES, 'compatible', named)).toMatchObject({ tool_choice: { function: { name: 'f' } } })
})

it('accepts harmless fields with every provider', async () => {
  const breakpoint = { prompt_cache_breakpoint: { mode: 'explicit' } }
  const chat = {
    messages: [{ role: 'user', name: 'ann', content: [{ type: 'text', text: 'hi', ...breakpoint }] }],
    prediction: { type: 'content', content: 'hi' },
    prompt_cache_options: { mode: 'explicit', ttl: '30m' },
    ...{ n: 1, logprobs: false, top_logprobs: 0, audio: null, functions: null, moderation: null },
  }
  const response = {
    input: [
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'x' },
      { role: 'user', content: [{ type: 'input_text', text: 'hi', ...breakpoint }] },
    ],
    include: ['reasoning.encrypted_content', 'web_search_call.action.sources'],
    reasoning: { context: 'auto', mode: 'standard', summary: 'detailed' },
    image: { context_compression: 'auto' },
    background_options: { completion_window: 'soonest' },
    stream_options: { include_obfuscation: false },
    tools: [{ type: 'function', name: 'f', defer_loading: true, async: false, allowed_callers: ['direct'] }],
    ...{ max_tool_calls: 3, top_logprobs: 0, context_management: [], conversation: null, prompt: null },
  }
  for (const provider of PROVIDERS) {
    expect(await send(CHAT, provider, chat)).toBeTypeOf('object')
    expect(await send(RESPONSES, provider, response)).toBeTypeOf('object')
  }
})

const SCHEMA = { type: 'object', properties: { a: { type: 'string' } } }

describe('strict', () => {
  const format = (strict?: boolean | null) => ({
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'n', description: 'd', schema: SCHEMA, ...(strict === undefined ? {} : { strict }) },
    },
  })
  const schemaOf = { openai: 'text.format', compatible: 'response_format.json_schema' } as const

  it.each(['openai', 'compatible'] as const)(
    'of a schema is as the request says at %s, by default false',
    async (provider) => {
      // The package's default is true, and OpenAI refuses a schema that is not made for it.
      for (const [given, passed] of [
        [true, true],
        [false, false],
        [null, false],
        [undefined, false],
      ] as const) {
        const body = await send(CHAT, provider, format(given))
        expect(body).toHaveProperty(
          schemaOf[provider],
          expect.objectContaining({ name: 'n', description: 'd', strict: passed }),
        )
      }
    },
  )

  it('of a tool is as the request says', async () => {
    const tool = (strict?: boolean) => ({
      type: 'function',
      name: 'f',
      parameters: SCHEMA,
      ...(strict === undefined ? {} : { strict }),
    })
    const passed = async (provider: Provider, strict?: boolean) => {
      const { tools } = (await send(RESPONSES, provider, { tools: [tool(strict)] })) as { tools: unknown[] }
      return tools[0]
    }
    expect(await passed('openai', true)).toMatchObject({ name: 'f', strict: true })
    expect(await passed('openai', false)).toMatchObject({ name: 'f', strict: false })
    expect(await passed('openai')).not.toHaveProperty('strict')
    expect(await passed('anthropic', true)).toMatchObject({ name: 'f', strict: true })
    expect(await passed('compatible', true)).toMatchObject({ function: { name: 'f', strict: true } })
    expect(await send(RESPONSES, 'google', { tools: [tool(true)] })).toMatchObject({
      toolConfig: { functionCallingConfig: { mode: 'VALIDATED' } },
    })
  })
})

describe('the detail of an image', () => {
  const url = 'data:image/png;base64,iVBORw0KGgo='
  const chat = { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url, detail: 'low' } }] }] }

  it('reaches a compatible server', async () => {
    expect(await send(CHAT, 'compatible', chat)).toMatchObject({
      messages: [{ content: [{ type: 'image_url', image_url: { url, detail: 'low' } }] }],
    })
  })

  it('reaches OpenAI', async () => {
    const part = { type: 'input_image', image_url: url, detail: 'high' }
    const body = await send(RESPONSES, 'openai', { input: [{ role: 'user', content: [part] }] })
    expect(body).toMatchObject({ input: [{ content: [part] }] })
  })
})

describe('a refusal in the history', () => {
  it('is text of the assistant', async () => {
    // It was dropped: the model got no answer between two questions.
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: null, refusal: 'No.' },
      { role: 'user', content: 'b' },
    ]
    expect(await send(CHAT, 'compatible', { messages })).toMatchObject({ messages: [{}, { content: 'No.' }, {}] })
  })
})

describe('a message over another transport', () => {
  const post = async (sampling: object) => {
    const before = server.requests.length
    const body = { content: 'hi', model: MODELS.google, context: { sampling } }
    const path = `/v1/sessions/${`s-${before}-${Object.keys(sampling)[0]}`}/messages`
    const answer = await h.post(path, body, { Accept: 'application/json' })
    return { answer: await answer.text(), requests: server.requests.slice(before) }
  }

  it('ends with a notice if the provider does not support an option, or fails if it is a guarantee', async () => {
    const hinted = await post({ verbosity: 'low', reasoningEffort: 'low' })
    expect(hinted.answer).toContain('{"code":"option_ignored","option":"verbosity"}')
    expect(hinted.requests).toHaveLength(1)
    const relied = await post({ logitBias: { '1': 1 } })
    expect(relied.answer).toContain('option_unsupported')
    expect(relied.requests).toHaveLength(0)
  })
})

describe('truncation', () => {
  const long = Array.from({ length: 9 }, (_, at) => ({ role: 'user', content: `${at}`.repeat(80_000) }))

  it('leaves out the oldest messages only if it is automatic', async () => {
    const sent = async (truncation?: string) => {
      const body = await send(RESPONSES, 'compatible', {
        input: long,
        ...(truncation === undefined ? {} : { truncation }),
      })
      return (body as { messages: unknown[] }).messages.length
    }
    expect(await sent()).toBe(long.length)
    expect(await sent('auto')).toBeLessThan(long.length)
    expect(await sent('disabled')).toBe(long.length)
  })

  it('keeps the question and the newest results of an input that ends with results', async () => {
    const steps = Array.from({ length: 5 }, (_, at) => [
      { type: 'function_call', call_id: `c${at}`, name: 'read', arguments: '{}' },
      { type: 'function_call_output', call_id: `c${at}`, output: `${at}`.repeat(200_000) },
    ]).flat()
    const input = [{ role: 'user', content: 'find it' }, ...steps]
    const { messages } = (await send(RESPONSES, 'compatible', { input, truncation: 'auto' })) as { messages: object[] }
    expect(messages.length).toBeLessThan(input.length)
    expect(messages[0]).toMatchObject({ role: 'user', content: 'find it' })
    expect(messages.slice(-2)).toMatchObject([
      { role: 'assistant', tool_calls: [{ id: 'c4' }] },
      { role: 'tool', tool_call_id: 'c4', content: '4'.repeat(200_000) },
    ])
  })
})

// OpenAI itself: "Invalid file data: 'messages[3].content[2].file.file_data'. Expected … but got unsupported MIME type".
describe('a file that the model does not accept', () => {
  const ZIP = 'data:application/zip;base64,UEsDBA=='
  const hi = { type: 'text', text: 'hi' }
  const answered = { role: 'assistant', content: 'A zip.' }
  const chatFile = (file_data: string) => ({ role: 'user', content: [hi, { type: 'file', file: { file_data } }] })
  const inputFile = { role: 'user', content: [{ type: 'input_file', file_data: ZIP, filename: 'a.zip' }] }
  const call = { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' }
  const result = { type: 'function_call_output', call_id: 'c', output: inputFile.content }

  it.each(PROVIDERS)('is refused by its part in new input, and becomes words in history: %s', async (provider) => {
    const again = { role: 'user', content: 'And now?' }
    for (const [path, fields, param] of [
      [CHAT, { messages: [{ role: 'system', content: 's' }, chatFile(ZIP)] }, 'messages[1].content[1]'],
      [RESPONSES, { input: [again, inputFile] }, 'input[1].content[0]'],
      [RESPONSES, { input: [inputFile, answered, call, result] }, 'input[3].output'],
    ] as const) {
      expect(await send(path, provider, fields)).toBe(param)
    }
    for (const [path, fields] of [
      [CHAT, { messages: [chatFile(ZIP), answered, again] }],
      [RESPONSES, { input: [inputFile, answered, again] }],
      [RESPONSES, { input: [call, result, answered, again] }],
      // A text file is passed on as text.
      [CHAT, { messages: [chatFile(`data:text/csv;base64,${btoa('a,b')}`)] }],
    ] as const) {
      expect(await send(path, provider, fields)).toBeTypeOf('object')
    }
  })
})
