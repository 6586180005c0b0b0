// `<think>…</think>` of open models as reasoning, by a setting per model.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createModelCatalog } from './model-catalog.ts'
import { readModelConfig } from './model-config.ts'
import { provide, TOOL } from './test/model-at.ts'
import { beginSse, chatChunk, readAnswer, sendSse, userPrompt } from './test/provider-server.ts'

const ANSWER = '\n<think>\nTwo < three, so </thin is no end.\n</think>\n\nYes: <think> is a tag.'

async function answerOf(deltas: readonly string[], model = 'm', more: readonly object[] = []) {
  const server = await provide(({ response }) => {
    beginSse(response)
    sendSse(response, [...deltas.map((content) => chatChunk({ content })), ...more, chatChunk({}, 'stop'), '[DONE]'])
    response.end()
  })
  const env = {
    PARLEY_MODELS: 'compatible:m,compatible:other,compatible:opened',
    PARLEY_COMPATIBLE_URL: server.url,
    PARLEY_THINK_MODELS: 'compatible:m',
    PARLEY_THINK_OPENED_MODELS: 'compatible:opened',
  }
  const catalog = createModelCatalog(readModelConfig(env))
  return readAnswer(catalog.get(`compatible:${model}`), { prompt: userPrompt('hello'), tools: [TOOL] })
}

describe('think tags', () => {
  it('become reasoning, for the models of the setting only', async () => {
    const answer = await answerOf([ANSWER])
    expect(answer.reasoning).toBe('Two < three, so </thin is no end.\n')
    expect(answer.text).toBe('Yes: <think> is a tag.')
    expect([(await answerOf([ANSWER], 'other')).text, (await answerOf([ANSWER], 'other')).reasoning]).toEqual([
      ANSWER,
      '',
    ])
  })

  it('may be split over deltas at any place', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(ANSWER.length), { maxLength: 8 }), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), ANSWER.length]
        const deltas = at.slice(1).map((end, index) => ANSWER.slice(at[index], end))
        const answer = await answerOf(deltas)
        expect(answer.reasoning).toBe('Two < three, so </thin is no end.\n')
        expect(answer.text).toBe('Yes: <think> is a tag.')
      }),
      { numRuns: 25 },
    )
  })

  it('that are missing, unfinished or not closed lose no character', async () => {
    for (const [deltas, text, reasoning] of [
      [['Hello <think>x</think>'], 'Hello <think>x</think>', ''],
      [['<thi'], '<thi', ''],
      [['<thi', 'nk it over'], '<think it over', ''],
      [['<think>on and on </th'], '', 'on and on </th'],
      [['<think></think>', 'Yes'], 'Yes', ''],
      [['  '], '  ', ''],
    ] as const) {
      const answer = await answerOf(deltas)
      expect([answer.text, answer.reasoning], JSON.stringify(deltas)).toEqual([text, reasoning])
    }
  })

  it('may be followed by a tool call', async () => {
    const call = { index: 0, id: 'c', type: 'function', function: { name: 'weather', arguments: '{}' } }
    const answer = await answerOf(['<think>Look it up.</think>\n'], 'm', [chatChunk({ tool_calls: [call] })])
    expect([answer.reasoning, answer.text, answer.calls.length]).toEqual(['Look it up.', '', 1])
  })

  // DeepSeek-R1 and Qwen3 Thinking: the chat template ends with `<think>`, so the answer has only the closing tag.
  it('may be opened by the chat template: the text before the closing tag is reasoning', async () => {
    const closed = ANSWER.replace('\n<think>\n', '')
    const call = { index: 0, id: 'c', type: 'function', function: { name: 'weather', arguments: '{}' } }
    const cases: readonly [deltas: readonly string[], text: string, reasoning: string, more?: readonly object[]][] = [
      [[...closed], 'Yes: <think> is a tag.', 'Two < three, so </thin is no end.\n'],
      [[...ANSWER], 'Yes: <think> is a tag.', 'Two < three, so </thin is no end.\n'],
      [['</thi', 'nk>\n\n', 'Yes'], 'Yes', ''],
      [['Look it up.'], '', 'Look it up.', [chatChunk({ tool_calls: [call] })]],
      // The model did not reason.
      [['Y', 'es </thi'], 'Yes </thi', 'Yes </thi'],
      [['x'.repeat(200_000), 'y'.repeat(100_000)], '', `${'x'.repeat(200_000)}${'y'.repeat(100_000)}`],
    ]
    for (const [deltas, text, reasoning, more] of cases) {
      const answer = await answerOf(deltas, 'opened', more)
      expect([answer.text, answer.reasoning], JSON.stringify(deltas).slice(0, 100)).toEqual([text, reasoning])
    }
  })

  it('are set for all models of a provider with a wildcard, and a malformed setting stops the start', () => {
    const of = (models: string) =>
      createModelCatalog(readModelConfig({ PARLEY_MODELS: 'demo', PARLEY_THINK_MODELS: models }))
    expect(of('compatible:*,openai:o1').defaultId).toBe('demo')
    expect(() => of('qwen3')).toThrow('PARLEY_THINK_MODELS: "qwen3" is not a model')
    const opened = readModelConfig({ PARLEY_THINK_OPENED_MODELS: 'qwen3' })
    expect(() => createModelCatalog(opened)).toThrow('PARLEY_THINK_OPENED_MODELS: "qwen3" is not a model')
  })
})
