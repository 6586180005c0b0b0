// How each dialect asks a provider for the rest of an answer: the request that it makes, and the answer that results.
import type { LanguageModelV3CallOptions } from '@ai-sdk/provider'
import { describe, expect, it } from 'vitest'
import { CONTINUES, type Dialect } from './continuation.ts'
import { createModelCatalog } from './model-catalog.ts'
import { readModelConfig } from './model-config.ts'
import { provide } from './test/model-at.ts'
import { beginSse, chatChunk, readAnswer, sendSse } from './test/provider-server.ts'

const BROKEN = 'One, two. Three, fo'
const OPTIONS: LanguageModelV3CallOptions = {
  prompt: [
    { role: 'user', content: [{ type: 'text', text: 'Count.' }] },
    { role: 'assistant', content: [{ type: 'text', text: BROKEN }] },
  ],
  providerOptions: CONTINUES,
}

async function ask(dialect: Dialect, answer: string, options = OPTIONS) {
  const server = await provide(({ response }) => {
    beginSse(response)
    sendSse(
      response,
      [...answer].map((content) => chatChunk({ content })),
    )
    sendSse(response, [chatChunk({}, 'stop'), '[DONE]'])
    response.end()
  })
  const dialects = new Map([['compatible:*', dialect]])
  const model = createModelCatalog({ model: 'compatible:m', compatible: { url: server.url }, dialects }).get()
  const { text, finish } = await readAnswer(model, options)
  expect(finish?.finishReason.unified).toBe('stop')
  const { messages, ...fields } = JSON.parse(server.requests[0]?.text ?? '') as Record<string, unknown>
  return { text, messages: messages as Record<string, unknown>[], fields, prefill: model.prefill }
}

const LAST = { role: 'assistant', content: BROKEN }

it('exact: sends the text as the last message', async () => {
  const { messages, fields, text, prefill } = await ask('exact', 'ur.')
  expect(messages.at(-1)).toEqual(LAST)
  expect(Object.keys(fields).sort()).toEqual(['model', 'stream', 'stream_options'])
  expect([text, prefill]).toEqual(['ur.', 'tail'])
})

it('continue_final_message: adds two fields to the request', async () => {
  const { messages, fields } = await ask('continue_final_message', 'ur.')
  expect(messages.at(-1)).toEqual(LAST)
  expect(fields).toMatchObject({ continue_final_message: true, add_generation_prompt: false })
})

it.each(['prefix', 'partial'] as const)('%s: adds a field to the last message', async (dialect) => {
  const { messages, fields } = await ask(dialect, 'ur.')
  expect(messages.at(-1)).toEqual({ ...LAST, [dialect]: true })
  expect(messages[0]).toEqual({ role: 'user', content: 'Count.' })
  expect(Object.keys(fields).sort()).toEqual(['model', 'stream', 'stream_options'])
})

it('ask: asks in a message, and drops what the model repeats', async () => {
  const { messages, text, prefill } = await ask('ask', 'Three, four. Five.')
  expect(messages.slice(0, -1).at(-1)).toEqual(LAST)
  expect(messages.at(-1)).toMatchObject({ role: 'user', content: expect.stringContaining('cut off') })
  expect([text, prefill]).toEqual(['ur. Five.', 'asked'])
})

it('leaves every other call as it is', async () => {
  const { prompt } = OPTIONS
  for (const dialect of ['continue_final_message', 'prefix', 'ask'] as const) {
    const { messages, fields, text } = await ask(dialect, 'Three, four.', { prompt })
    expect(messages.at(-1)).toEqual(LAST)
    expect(Object.keys(fields).sort()).toEqual(['model', 'stream', 'stream_options'])
    expect(text).toBe('Three, four.')
  }
})

describe('the setting', () => {
  const dialectsOf = (text: string) => [...(readModelConfig({ PARLEY_COMPATIBLE_PREFILL: text }).dialects ?? [])]

  it('names a dialect for all compatible models, or for each', () => {
    expect(dialectsOf('ask')).toEqual([['compatible:*', 'ask']])
    expect(dialectsOf('llama-3=exact, compatible:qwen3=partial, openai:*=ask')).toEqual([
      ['compatible:llama-3', 'exact'],
      ['compatible:qwen3', 'partial'],
      ['openai:*', 'ask'],
    ])
  })

  it('refuses what no provider understands', () => {
    for (const text of ['yes', 'llama-3=maybe', 'openai:*=prefix', 'llama-3=']) {
      expect(() => dialectsOf(text), text).toThrow('PARLEY_COMPATIBLE_PREFILL')
    }
  })
})
