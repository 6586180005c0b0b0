// Marks that are missing, foreign or refused: the session continues. How providers get them back: server/run/provider-marks.test.ts.
import type { LanguageModelV3Message } from '@ai-sdk/provider'
import { describe, expect, it } from 'vitest'
import { createModelCatalog } from './model-catalog.ts'
import { readModelConfig } from './model-config.ts'
import { encodeMarks, markedContent, markOf } from './provider-marks.ts'
import { answerOf, MARKING_PROVIDERS } from './test/marking-provider.ts'
import { KEY, modelAt, provide } from './test/model-at.ts'
import {
  beginSse,
  chatChunk,
  type ProviderRequestBody,
  readAnswer,
  sendSse,
  userPrompt,
} from './test/provider-server.ts'

type Assistant = Extract<LanguageModelV3Message, { role: 'assistant' }>['content']

const CALL = { type: 'tool-call' as const, toolCallId: 'c', toolName: 'where', input: {} }
const SIGNED: Assistant = [
  { type: 'reasoning', text: 'Hm.', providerOptions: { anthropic: { signature: 'sig' } } },
  { type: 'text', text: 'Let me see.' },
]
const signed = modelAt('http://127.0.0.1:1', 'anthropic')
const marks = encodeMarks(signed, SIGNED, CALL)
const promptWith = (content: Assistant): LanguageModelV3Message[] => [
  ...userPrompt('go'),
  { role: 'assistant', content },
  {
    role: 'tool',
    content: [{ type: 'tool-result', toolCallId: 'c', toolName: 'where', output: { type: 'text', value: 'here' } }],
  },
]

/** The assistant message of a request to a compatible server, for an answer with one call. */
async function sentTo(model: string, content: Assistant, nullContent = '') {
  const server = await provide(({ response }) => {
    beginSse(response)
    sendSse(response, [chatChunk({ content: 'done' }), chatChunk({}, 'stop'), '[DONE]'])
    response.end()
  })
  const settings = { PARLEY_MODEL: `compatible:${model}`, PARLEY_NULL_CONTENT_MODELS: nullContent }
  const config = readModelConfig({ ...settings, PARLEY_COMPATIBLE_URL: server.url, PARLEY_COMPATIBLE_KEY: KEY })
  const own = createModelCatalog(config).get()
  expect((await readAnswer(own, { prompt: promptWith(content) })).text).toBe('done')
  return server.requests[0]?.body.messages?.[1] as Readonly<Record<string, unknown>>
}

describe('marks', () => {
  it('restore the answer for the model that made it, and for no other', () => {
    const text: Assistant = [{ type: 'text', text: 'Let me see.' }]
    expect(markedContent(text, [{ part: CALL, marks }], 'anthropic:m')).toEqual([...SIGNED, CALL])
    expect(markedContent(text, [{ part: CALL, marks }], 'anthropic:n')).toEqual([...text, CALL])
  })

  it('keep text that the person did not see out, and text after the last call in', () => {
    const seen: Assistant = [{ type: 'text', text: 'Let' }]
    expect(markedContent(seen, [{ part: CALL, marks }], 'anthropic:m')).toEqual([SIGNED[0], ...seen, CALL])
    expect(markedContent([], [{ part: CALL, marks }], 'anthropic:m')).toEqual([SIGNED[0], CALL])
    const more: Assistant = [{ type: 'text', text: 'Let me see. Wait.' }]
    expect(markedContent(more, [{ part: CALL, marks }], 'anthropic:m')).toEqual([
      ...SIGNED,
      { type: 'text', text: ' Wait.' },
      CALL,
    ])
  })

  it('of callers are ignored unless they have a known form', () => {
    const options = { anthropic: { cacheControl: 'ephemeral', signature: 'sig' }, other: { a: 'b' } }
    expect(markOf('call', options)).toEqual({ anthropic: { signature: 'sig' } })
    for (const text of ['', 'gAAAAABo', '{}', '{"model":"anthropic:m","call":{"google":{"thoughtSignature":7}}}']) {
      expect(markedContent([], [{ part: CALL, marks: text }], 'anthropic:m')).toEqual([CALL])
    }
  })

  it('are left out if they do not fit into the log', () => {
    const huge = {
      type: 'reasoning' as const,
      text: 'a'.repeat(300_000),
      providerOptions: { google: { thoughtSignature: 's' } },
    }
    expect(encodeMarks(signed, [huge], CALL)).toBeUndefined()
  })

  it('that a provider refuses are left out of a second request', async () => {
    const [anthropic] = MARKING_PROVIDERS
    if (anthropic === undefined) throw new Error('no provider')
    const refusal = {
      type: 'error',
      error: {
        type: 'invalid_request_error',
        message: 'messages.1.content.0: Invalid `signature` in `thinking` block',
      },
    }
    const found = ({ messages }: { messages?: unknown }) => JSON.stringify(messages).includes('"signature"')
    const server = await provide(answerOf({ ...anthropic, found, expected: false, refusal }))
    const received = await readAnswer(modelAt(server.url, 'anthropic'), { prompt: promptWith([...SIGNED, CALL]) })
    expect([received.text, received.error]).toEqual(['done', undefined])
    expect(server.requests.map(({ body }) => contentOf(body))).toEqual([
      ['thinking', 'text', 'tool_use'],
      ['text', 'tool_use'],
    ])
  })
})

function contentOf({ messages = [] }: ProviderRequestBody): unknown[] {
  return ((messages[1]?.content ?? []) as { type: string }[]).map(({ type }) => type)
}

describe('a compatible server', () => {
  it('with Gemini 3 gets Google’s own value for calls without a signature, and others get none', async () => {
    const value = { google: { thought_signature: 'skip_thought_signature_validator' } }
    expect((await sentTo('google/gemini-3-pro', [CALL])).tool_calls).toMatchObject([{ extra_content: value }])
    const sign = { providerOptions: { google: { thoughtSignature: 'sig' } } }
    // Gemini signs only the first of parallel calls.
    const calls = (await sentTo('gemini-3-pro', [{ ...CALL, ...sign }, CALL])).tool_calls as object[]
    expect(calls.map((call) => ('extra_content' in call ? call.extra_content : undefined))).toEqual([
      { google: { thought_signature: 'sig' } },
      undefined,
    ])
    expect((await sentTo('gemini-2.5-pro', [CALL])).tool_calls).toEqual([
      expect.not.objectContaining({ extra_content: value }),
    ])
  })

  it('gets an empty text beside tool calls, and null where it refuses that', async () => {
    // llama-cpp-python 0.3.36 answers 500 to null. Gemini's API answers 400 to the empty text, as its users report.
    expect(await sentTo('qwen3', [CALL])).toMatchObject({ content: '' })
    expect(await sentTo('qwen3', [{ type: 'text', text: 'Hm' }, CALL])).toMatchObject({ content: 'Hm' })
    expect(await sentTo('gemini-2.5-pro', [CALL])).toMatchObject({ content: null })
    expect(await sentTo('m', [CALL], 'compatible:*')).toMatchObject({ content: null })
    expect(await sentTo('m', [CALL], 'compatible:n, compatible:o')).toMatchObject({ content: '' })
    await expect(sentTo('m', [CALL], 'qwen3')).rejects.toThrow('PARLEY_NULL_CONTENT_MODELS: "qwen3" is not a model')
  })
})
