// Whatever is stored in a conversation, each provider accepts its prompt. The prompts pass through the providers' real packages to
// strict stand-ins of their services.
import type { LanguageModelV3Message, LanguageModelV3Prompt } from '@ai-sdk/provider'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Model } from './model.ts'
import { createModelCatalog } from './model-catalog.ts'
import { PROVIDERS, type ProviderName } from './model-config.ts'
import { promptRules } from './prompt-rules.ts'
import { type Conversation, type PromptLimits, providerPrompt } from './provider-prompt.ts'
import { OK, refusalOf, type Service } from './test/strict-provider.ts'
import { estimateTokens } from './token-estimate.ts'

/** @returns the service's model, and why it refused the last request */
function serve(service: Service, name = 'm'): { readonly model: Model; readonly refused: () => unknown } {
  let refused: unknown
  const answer = (async (_url: unknown, init: RequestInit) => {
    refused = refusalOf(service, String(init.body))
    if (refused !== undefined) return Response.json(refused, { status: 400 })
    const events = OK[service.provider].map((event) => `data: ${JSON.stringify(event)}\n\n`)
    return new Response(events.join(''), { headers: { 'content-type': 'text/event-stream' } })
  }) as typeof fetch
  const settings = { url: 'http://localhost', key: 'k' }
  const config = { model: `${service.provider}:${name}`, [service.provider]: settings }
  return { model: createModelCatalog(config, { fetch: answer }).get(), refused: () => refused }
}

const texts = fc.oneof(
  fc.constantFrom('', ' ', '\n\t', 'hello', 'a\ud83d', '\udc00'),
  fc.string({ maxLength: 10, unit: 'binary' }),
)
const names = fc.oneof(fc.constantFrom('f', 'get weather!', '', '1x', '-x', 'x'.repeat(200), 'größe'), texts)
const calledNames = fc.oneof(names, fc.constantFrom(...Object.getOwnPropertyNames(Object.prototype)))
const ids = fc.constantFrom('a', 'b', 'call_1', 'c 1', 'x'.repeat(100), '')
const values = fc.oneof(fc.constantFrom(null, 5, 'text', [1], { k: '\ud800' }, ''), fc.jsonValue({ maxDepth: 2 }))
const file = fc.record(
  {
    type: fc.constant('file' as const),
    mediaType: fc.constantFrom(
      ...[
        'image/png',
        'image/jpg',
        'IMAGE/PNG',
        'image/*',
        'image/bmp',
        'application/zip',
        'application/pdf',
        'audio/wav',
      ],
      ...['audio/midi', 'video/mp4', 'text/csv; charset=utf-8', 'application/json', 'image/svg+xml', 'x'],
    ),
    data: fc.constantFrom<string | URL>('', 'aGVsbG8=', '/w==', new URL('https://example.com/x')),
    filename: texts,
  },
  { requiredKeys: ['type', 'mediaType', 'data'] },
)
const text = texts.map((said) => ({ type: 'text' as const, text: said }))
const user = fc.array(fc.oneof(text, file), { maxLength: 3 }).map((content) => ({ role: 'user' as const, content }))
const call = fc
  .tuple(ids, calledNames, values)
  .map(([toolCallId, toolName, input]) => ({ type: 'tool-call' as const, toolCallId, toolName, input }))
const assistant = fc
  .array(
    fc.oneof(
      text,
      text.map((part) => ({ ...part, type: 'reasoning' as const })),
      call,
    ),
    { maxLength: 4 },
  )
  .map((content) => ({ role: 'assistant' as const, content }))
const output = fc.oneof(
  texts.map((value) => ({ type: 'text' as const, value })),
  texts.map((value) => ({ type: 'error-text' as const, value })),
  values.map((value) => ({ type: 'json' as const, value: value as never })),
)
const tool = fc.array(fc.tuple(ids, names, output), { minLength: 1, maxLength: 3 }).map((results) => ({
  role: 'tool' as const,
  content: results.map(([toolCallId, toolName, result]) => ({
    type: 'tool-result' as const,
    toolCallId,
    toolName,
    output: result,
  })),
}))
const system = texts.map((content) => ({ role: 'system' as const, content }))
const messages: fc.Arbitrary<LanguageModelV3Message[]> = fc.array(fc.oneof(user, assistant, tool, system), {
  maxLength: 6,
})
const LAST = 'the last question'
const conversations: fc.Arbitrary<Conversation> = fc.record({
  system: fc.array(texts, { maxLength: 2 }),
  turns: fc
    .tuple(fc.array(fc.record({ messages, arranged: fc.boolean() }), { maxLength: 5 }), messages)
    .map(([earlier, own]) => [
      ...earlier,
      {
        messages: [...own, { role: 'user' as const, content: [{ type: 'text' as const, text: LAST }] }],
        arranged: false,
      },
    ]),
})
const limits: fc.Arbitrary<PromptLimits> = fc.record({
  tokens: fc.oneof(fc.constant(1_000_000), fc.integer({ min: -10, max: 200 })),
  inWords: fc.constantFrom('nothing', 'earlier', 'all'),
})

const SERVICES: readonly (readonly [string, Service, string])[] = [
  ...PROVIDERS.map((provider) => [provider, { provider }, 'm'] as const),
  ['Gemini', { provider: 'google' }, 'gemini-3-pro'],
  ['Mistral', { provider: 'compatible', callId: /^[a-zA-Z0-9]{9}$/ }, 'mistral-large'],
]

describe.each(SERVICES)('%s', (_, service, name) => {
  it('accepts every conversation', async () => {
    const { model, refused } = serve(service, name)
    const accepts = async (conversation: Conversation, limit: PromptLimits): Promise<void> => {
      const { prompt } = providerPrompt(conversation, promptRules(model), limit)
      try {
        const { stream } = await model.language.doStream({ prompt: [...prompt] })
        await stream.cancel()
      } catch (error) {
        throw new Error(JSON.stringify(refused() ?? String(error)), { cause: error })
      }
      expect(JSON.stringify(prompt.at(-1))).toContain(LAST)
    }
    await fc.assert(fc.asyncProperty(conversations, limits, accepts), { numRuns: 300 })
  }, 60_000)
})

const rulesOf = (provider: ProviderName) => promptRules(serve({ provider }).model)
const NO_LIMIT: PromptLimits = { tokens: 1_000_000, inWords: 'nothing' }
const asked = (said: string): LanguageModelV3Message => ({ role: 'user', content: [{ type: 'text', text: said }] })
const answered = (said: string): LanguageModelV3Message => ({
  role: 'assistant',
  content: [{ type: 'text', text: said }],
})
const talk = (...turns: LanguageModelV3Message[][]): Conversation => ({
  system: [],
  turns: turns.map((own) => ({ messages: own, arranged: false })),
})
const said = (prompt: LanguageModelV3Prompt) => JSON.stringify(prompt)

describe('a prompt', () => {
  it('keeps the newest turns within the limit, and says how many are left out', () => {
    fc.assert(
      fc.property(conversations, fc.integer({ min: 50, max: 400 }), ({ turns }, tokens) => {
        const all = providerPrompt({ system: [], turns }, rulesOf('openai'), NO_LIMIT)
        const short = providerPrompt({ system: [], turns }, rulesOf('openai'), { ...NO_LIMIT, tokens })
        const omitted = short.notices.find(({ code }) => code === 'history_omitted')?.count
        if (omitted === undefined) expect(short).toEqual(all)
        else expect(short.tokens).toBeLessThan(all.tokens)
      }),
    )
    const turns = ['one', 'two', 'three'].map((word) => [asked(word.repeat(40)), answered(word)])
    const { prompt, notices, tokens } = providerPrompt(talk(...turns, [asked('now')]), rulesOf('openai'), {
      tokens: 80,
      inWords: 'nothing',
    })
    expect(notices).toEqual([{ code: 'history_omitted', count: 2 }])
    expect(prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    expect(tokens).toBe(estimateTokens(prompt))
    expect(tokens).toBeLessThanOrEqual(80)
  })

  it('leaves out the oldest steps of a run whose own calls exceed the limit, never a call without its result', () => {
    const step = (id: string): LanguageModelV3Message[] => [
      { role: 'assistant', content: [{ type: 'tool-call', toolCallId: id, toolName: 'f', input: {} }] },
      {
        role: 'tool',
        content: [
          { type: 'tool-result', toolCallId: id, toolName: 'f', output: { type: 'text', value: id.repeat(300) } },
        ],
      },
    ]
    const long = talk([asked('old')], [asked('go'), ...['a', 'b', 'c'].flatMap(step)])
    const { prompt, notices } = providerPrompt(long, rulesOf('openai'), { ...NO_LIMIT, tokens: 200 })
    expect(notices).toEqual([{ code: 'history_omitted', count: 2 }])
    expect(prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'tool'])
    expect(said(prompt)).not.toContain('old')
  })

  it('keeps the system messages of the steps that it leaves out, up to half of the limit', () => {
    const rule = (content: string): LanguageModelV3Message => ({ role: 'system', content })
    const long = 'long '.repeat(100)
    const steps = [answered(long), rule('Rule 1.'), asked('on'), answered(long), rule('Rule 2.'), asked('on')]
    const own = talk([asked('go'), ...steps, answered('last'), asked('now')])
    const { prompt, notices } = providerPrompt(own, rulesOf('openai'), { ...NO_LIMIT, tokens: 100 })
    expect(prompt).toEqual([asked('go'), rule('Rule 1.'), rule('Rule 2.'), answered('last'), asked('now')])
    expect(notices).toEqual([{ code: 'history_omitted', count: 2 }])
    const many = talk([asked('go'), answered('a'), ...Array(50).fill(rule('A rule.')), answered('last')])
    const short = providerPrompt(many, rulesOf('openai'), { ...NO_LIMIT, tokens: 100 })
    expect(short.prompt.at(-2)).toEqual(rule('A rule.'))
    expect(short.tokens).toBeLessThanOrEqual(100)
  })

  it('counts a beginning that was not loaded as one', () => {
    const cut = { ...talk([asked('go')]), isCut: true }
    const { notices } = providerPrompt(cut, rulesOf('openai'), NO_LIMIT)
    expect(notices).toEqual([{ code: 'history_omitted', count: 1 }])
  })

  it('counts each step of a long run once', () => {
    const word = 'word '.repeat(3_000)
    const steps = Array.from({ length: 1_000 }, () => answered(word))
    const began = performance.now()
    const { notices } = providerPrompt(talk([asked('go'), ...steps]), rulesOf('openai'), { ...NO_LIMIT, tokens: 5_000 })
    expect(notices).toEqual([{ code: 'history_omitted', count: 999 }])
    // Step by step from each on, it took a minute.
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  it('gives any number of calls with a repeated id new ids that Mistral accepts, without those that it has already', () => {
    const { model } = serve({ provider: 'compatible' }, 'mistral-large')
    const call = (toolCallId: string) => ({ type: 'tool-call' as const, toolCallId, toolName: 'f', input: {} })
    const taken = ['c00000000', 'c00000002'].map(call)
    const calls = [...taken, ...Array.from({ length: 100_100 }, () => call('a'))]
    const { prompt } = providerPrompt(
      talk([{ role: 'assistant', content: calls }], [asked('so?')]),
      promptRules(model),
      { ...NO_LIMIT, tokens: Number.POSITIVE_INFINITY },
    )
    const ids = prompt.flatMap(({ role, content }) =>
      role === 'assistant' ? content.map((part) => (part.type === 'tool-call' ? part.toolCallId : '')) : [],
    )
    expect(new Set(ids).size).toBe(calls.length)
    expect(ids.filter((id) => !/^[a-zA-Z0-9]{9}$/.test(id))).toEqual([])
  })

  it('keeps system messages of earlier turns in up to half of the limit, the newest ones', () => {
    const system = (said: string): LanguageModelV3Message => ({ role: 'system', content: said })
    const turns = Array.from({ length: 6 }, (_, at) => [
      system(`rule ${at} ${'word '.repeat(40)}`),
      asked(`question ${at}`),
      answered('fine'),
    ])
    const conversation = talk(...turns, [asked('now')])
    const all = providerPrompt(conversation, rulesOf('openai'), NO_LIMIT)
    expect(all.notices).toEqual([])
    const short = providerPrompt(conversation, rulesOf('openai'), { ...NO_LIMIT, tokens: 200 })
    expect(short.tokens).toBeLessThanOrEqual(200)
    expect(said(short.prompt)).toContain('rule 5')
    expect(said(short.prompt)).not.toContain('rule 0')
    expect(said(short.prompt)).toContain('question 5')
    const rules = short.prompt.filter(({ role }) => role === 'system')
    expect(estimateTokens(rules)).toBeLessThanOrEqual(100)
  })

  it('in words has no reasoning of the calls that became text: OpenAI refuses one without the other', () => {
    const reasoned: LanguageModelV3Message = {
      role: 'assistant',
      content: [
        { type: 'reasoning', text: 'secret thought', providerOptions: { openai: { itemId: 'rs_1' } } },
        { type: 'tool-call', toolCallId: 'a', toolName: 'f', input: {} },
      ],
    }
    const conversation = talk([asked('go'), reasoned], [asked('so?')])
    const at = (inWords: PromptLimits['inWords']) =>
      said(providerPrompt(conversation, rulesOf('openai'), { ...NO_LIMIT, inWords }).prompt)
    expect(at('nothing')).toContain('secret thought')
    expect(at('earlier')).not.toContain('secret thought')
    expect(at('earlier')).toContain('[Called f with {}]')
  })

  it('names a file that the model does not accept, and includes text files as text', () => {
    const zip = { type: 'file' as const, mediaType: 'application/zip', data: 'UEsDBA==', filename: 'a.zip' }
    const csv = { type: 'file' as const, mediaType: 'text/csv', data: 'YSxiCg==', filename: 'a.csv' }
    const { prompt, notices } = providerPrompt(
      talk([{ role: 'user', content: [zip, csv] }]),
      rulesOf('openai'),
      NO_LIMIT,
    )
    expect(notices).toEqual([{ code: 'file_omitted', mediaType: 'application/zip', count: 1 }])
    expect(said(prompt)).toContain('[File a.zip, application/zip: not available to this model]')
    expect(said(prompt)).toContain('[File a.csv, text/csv]\\na,b')
  })

  it('keeps an image by URL, as OpenAI’s clients send it, without its type', () => {
    const image = { type: 'file' as const, mediaType: 'image/*', data: new URL('https://example.com/x') }
    for (const provider of PROVIDERS) {
      const model = serve({ provider }, provider === 'google' ? 'gemini-3-pro' : 'm').model
      const { prompt } = providerPrompt(talk([{ role: 'user', content: [image] }]), promptRules(model), NO_LIMIT)
      expect(prompt).toEqual([{ role: 'user', content: [image] }])
    }
  })

  it('is the same for the same history, so that a provider’s cache knows it', () => {
    fc.assert(
      fc.property(conversations, (conversation) => {
        const [last] = conversation.turns.slice(-1)
        const before = providerPrompt(conversation, rulesOf('anthropic'), NO_LIMIT).prompt
        const own = { messages: [...(last?.messages ?? []), answered('fine')], arranged: false }
        const later = [...conversation.turns.slice(0, -1), own, { messages: [asked('more')], arranged: true }]
        const after = providerPrompt({ ...conversation, turns: later }, rulesOf('anthropic'), NO_LIMIT).prompt
        expect(after.slice(0, before.length)).toEqual(before)
      }),
    )
  })
})
