// The rulings on the fields of OpenAI's requests: PROTOCOL.md lists each, and refused fields are refused by name.
// `npm run check` compares them with the types of OpenAI's SDK.
import { readFileSync } from 'node:fs'
import type OpenAI from 'openai-newest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CHAT, COMPLETION, flattened, RESPONSE, type Rulings } from './test/field-rulings.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const TEXT = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8')
const APIS = [
  { name: 'Chat completions', path: '/v1/chat/completions', rulings: [...flattened(CHAT)] },
  { name: 'Completions', path: '/v1/completions', rulings: [...flattened(COMPLETION)] },
  { name: 'Responses', path: '/v1/responses', rulings: [...flattened(RESPONSE)] },
] as const

it('must have a ruling on each field of the SDK', () => {
  // These lines do not compile unless the comparison finds what is missing.
  const { seed: _, ...chat } = CHAT
  // @ts-expect-error: a field
  chat satisfies Rulings<OpenAI.ChatCompletionCreateParams>
  // @ts-expect-error: a nested field
  ;({ ...CHAT, stream_options: { include_usage: 'honoured' } }) satisfies Rulings<OpenAI.ChatCompletionCreateParams>
  const { web_search: __, ...tools } = RESPONSE.tools
  // @ts-expect-error: a type of tools
  ;({ ...RESPONSE, tools }) satisfies Rulings<OpenAI.Responses.ResponseCreateParams>
  // @ts-expect-error: a field that the SDK does not have
  ;({ ...RESPONSE, seed: 'honoured' }) satisfies Rulings<OpenAI.Responses.ResponseCreateParams>
  expect(APIS.map(({ rulings }) => rulings.length).every((count) => count > 15)).toBe(true)
})

/** The rows of the table after the line with the API's name. */
function rows(name: string): readonly { readonly pattern: string; readonly ruling: string }[] {
  const after = TEXT.slice(TEXT.indexOf(`\n${name}:\n`))
  const table = after.slice(after.indexOf('| --- |'), after.indexOf('\n\n', after.indexOf('| --- |')))
  return [...table.matchAll(/^\| (`.*`) \| ([a-z ]+) \|/gm)].flatMap(([, fields = '', ruling = '']) =>
    [...fields.matchAll(/`([^`]+)`/g)].map(([, pattern = '']) => ({ pattern, ruling })),
  )
}

function isMatch(path: string, pattern: string): boolean {
  const source = pattern.split('*').map((part) => part.replaceAll('.', '\\.'))
  return new RegExp(`^${source.join('.*')}$`).test(path)
}

describe.each(APIS)('the table of $name', ({ name, rulings }) => {
  it('has each field once, with its ruling', () => {
    const listed = rulings.map(([path]) => {
      const found = rows(name).filter(({ pattern }) => isMatch(path, pattern))
      return [path, found.map(({ ruling }) => ruling).join(' and ')]
    })
    expect(listed).toEqual(rulings)
  })

  it('has no other field', () => {
    const unused = rows(name).filter(({ pattern }) => !rulings.some(([path]) => isMatch(path, pattern)))
    expect(unused).toEqual([])
  })
})

const hi = { role: 'user', content: 'hi' }
const call = { name: 'f', arguments: '{}' }
const F = { type: 'function', name: 'f', parameters: { type: 'object' }, strict: false }

/** Requests with each refused field, by its path. */
const CHAT_SAMPLES: Readonly<Record<string, object>> = {
  'messages.user.content.file.file.file_id': {
    messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-1' } }] }],
  },
  'messages.assistant.tool_calls.custom': {
    messages: [
      hi,
      { role: 'assistant', tool_calls: [{ id: 'c', type: 'custom', custom: { name: 'f', input: '' } }] },
      { role: 'tool', tool_call_id: 'c', content: '' },
    ],
  },
  'messages.assistant.audio': { messages: [hi, { role: 'assistant', audio: { id: 'a' } }, hi] },
  'messages.assistant.function_call': { messages: [hi, { role: 'assistant', function_call: call }, hi] },
  'messages.function': { messages: [hi, { role: 'function', name: 'f', content: '' }] },
  'stream_options.include_obfuscation': { stream: true, stream_options: { include_obfuscation: true } },
  'tools.custom': { tools: [{ type: 'custom', custom: { name: 'f' } }] },
  'tool_choice.allowed_tools': { tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } } },
  'tool_choice.custom': { tool_choice: { type: 'custom', custom: { name: 'f' } } },
  n: { n: 2 },
  logprobs: { logprobs: true },
  top_logprobs: { top_logprobs: 2 },
  'modalities.audio': { modalities: ['text', 'audio'] },
  audio: { audio: { format: 'wav', voice: 'ash' } },
  functions: { functions: [{ name: 'f' }] },
  function_call: { function_call: 'auto' },
  moderation: { moderation: { model: 'omni-moderation-latest' } },
  web_search_options: { web_search_options: {} },
}
const COMPLETION_SAMPLES: Readonly<Record<string, object>> = {
  'stream_options.include_obfuscation': { stream_options: { include_obfuscation: true } },
  n: { n: 2 },
  best_of: { best_of: 2 },
  echo: { echo: true },
  logprobs: { logprobs: 3 },
  suffix: { suffix: '.' },
}
const inMessage = (part: object): object => ({ input: [{ role: 'user', content: [part] }] })
const inOutput = (part: object): object => ({ input: [{ type: 'function_call_output', call_id: 'c', output: [part] }] })
const image = { type: 'input_image', file_id: 'file-1' }
const byId = { type: 'input_file', file_id: 'file-1' }
const RESPONSE_SAMPLES: Readonly<Record<string, object>> = {
  'input.message.content.input_image.file_id': inMessage(image),
  'input.message.content.input_file.file_id': inMessage(byId),
  'input.function_call_output.output.input_image.file_id': inOutput(image),
  'input.function_call_output.output.input_file.file_id': inOutput(byId),
  'stream_options.include_obfuscation': { stream: true, stream_options: { include_obfuscation: true } },
  'reasoning.context.all_turns': { reasoning: { context: 'all_turns' } },
  'input.function_call.async': { input: [{ type: 'function_call', call_id: 'c', ...call, async: true }] },
  'tools.function.async': { tools: [{ ...F, async: true }] },
  'tools.function.allowed_callers.programmatic': { tools: [{ ...F, allowed_callers: ['programmatic'] }] },
  'include.message.output_text.logprobs': { include: ['message.output_text.logprobs'] },
  top_logprobs: { top_logprobs: 2 },
  'prompt_cache_options.prewarm': { prompt_cache_options: { prewarm: true } },
  'prompt_cache_options.comparison_response_id': { prompt_cache_options: { comparison_response_id: 'resp_1' } },
  'background_options.completion_window.2h': { background_options: { completion_window: '2h' } },
  'background_options.completion_window.8h': { background_options: { completion_window: '8h' } },
  'image.context_compression.enabled': { image: { context_compression: 'enabled' } },
  access_programs: { access_programs: { cyber: 'standard' } },
  context_management: { context_management: [{ type: 'compaction' }] },
  moderation: { moderation: { model: 'omni-moderation-latest' } },
  prompt: { prompt: { id: 'pmpt_1' } },
}

/** @param param such as `messages[0].content` */
const namesIn = (param: string): readonly string[] => param.replaceAll(/\[(\d+)\]/g, '.$1').split('.')

const at = (body: object, param: string): unknown =>
  namesIn(param).reduce<unknown>((own, name) => (own as Record<string, unknown> | undefined)?.[name], body)

/** Items, tools and choices of each refused type. */
function sampleOf(path: string): object | undefined {
  const [field = '', type] = path.split('.')
  if (field === 'input') return { input: [hi, { type, id: 'x', call_id: 'c' }] }
  if (field === 'tools') return { tools: [{ type, name: 'f', description: '', tools: [] }] }
  return field === 'tool_choice' ? { tools: [F], tool_choice: { type, name: 'f', mode: 'auto', tools: [] } } : undefined
}

const REFUSED = [
  ...APIS[0].rulings.map((each) => [APIS[0].path, { messages: [hi] }, CHAT_SAMPLES, ...each] as const),
  ...APIS[1].rulings.map((each) => [APIS[1].path, { prompt: 'hi' }, COMPLETION_SAMPLES, ...each] as const),
  ...APIS[2].rulings.map((each) => [APIS[2].path, { input: 'hi' }, RESPONSE_SAMPLES, ...each] as const),
]
  .filter(([, , , , ruling]) => ruling === 'refused')
  .map(([url, body, samples, path]) => ({ url, path, body, sample: samples[path] ?? sampleOf(path) }))

describe('a refused field', () => {
  let h: OpenAiHarness
  beforeAll(async () => {
    h = await OpenAiHarness.open()
  })
  afterAll(() => h.close())

  it.each(REFUSED)('$path of $url is named by the error', async ({ url, path, body, sample }) => {
    expect(sample).toBeDefined()
    const answer = await h.post(url, { model: 'demo', ...body, ...sample })
    const { error } = (await answer.json()) as { error: { param: string; type: string } }
    expect({ status: answer.status, type: error.type }).toEqual({ status: 400, type: 'invalid_request_error' })
    const names = namesIn(error.param)
    expect(names[0]).toBe(path.split('.')[0])
    // The field itself, or the field whose value, such as the type of an item, is refused.
    const field = names.findLast((name) => !/^\d+$/.test(name))
    const value = at({ ...body, ...sample }, error.param)
    const refused = [field, String(value), (value as { type?: string } | undefined)?.type]
    expect(
      refused.some((own) => path === own || path.endsWith(`.${own}`)),
      error.param,
    ).toBe(true)
  })
})
