// Numbers that JavaScript rounds, such as 64-bit ids, keep their digits wherever JSON only passes through: from a model to a client, in
// a client's own history, and in later turns to each provider.
import type OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { createModelCatalog } from '../../model/model-catalog.ts'
import { KEY, provide } from '../../model/test/model-at.ts'
import { beginSse, chatChunk, type ProviderRequest, sendSse } from '../../model/test/provider-server.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const BIG = '12345678901234567890'
const INPUT = `{"id":${BIG},"more":[-9007199254740993,0.12345678901234567890],"at":1764622884000}`
/** JSON Schemas made by Rust's schemars have such limits. */
const SCHEMA = `{"type":"object","properties":{"id":{"type":"integer","maximum":18446744073709551615}}}`

const NAMES = ['compatible', 'openai', 'anthropic', 'google'] as const
type Name = (typeof NAMES)[number]

const call = { type: 'function_call', id: 'f', call_id: 'c', name: 'pay', status: 'completed', arguments: INPUT }
const usage = { input_tokens: 1, output_tokens: 1 }
/** A tool call in each provider's protocol. Google sends its input as an object. */
const ANSWERS: Record<Name, readonly unknown[]> = {
  compatible: [
    chatChunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'pay', arguments: INPUT } }] }),
    chatChunk({}, 'tool_calls'),
    '[DONE]',
  ],
  openai: [
    { type: 'response.created', response: { id: 'r', created_at: 1, model: 'm' } },
    { type: 'response.output_item.added', output_index: 0, item: { ...call, arguments: '', status: 'in_progress' } },
    { type: 'response.output_item.done', output_index: 0, item: call },
    { type: 'response.completed', response: { usage } },
  ],
  anthropic: [
    {
      type: 'message_start',
      message: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null, usage },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'tool_use', id: 'c', name: 'pay', input: {} } },
    { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: INPUT } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ],
  google: [
    `{"candidates":[{"index":0,"finishReason":"STOP","content":{"role":"model","parts":[{"functionCall":{"name":"pay","args":${INPUT}}}]}}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}`,
  ],
}

let close: (() => Promise<void>) | undefined
afterEach(() => close?.())

async function open(name: Name) {
  const requests: ProviderRequest[] = []
  const provider = await provide((request) => {
    requests.push(request)
    beginSse(request.response)
    sendSse(
      request.response,
      ANSWERS[name],
      name === 'anthropic' ? (event) => (event as { type: string }).type : undefined,
    )
    request.response.end()
  })
  const models = createModelCatalog({ model: `${name}:m`, [name]: { url: provider.url, key: KEY } })
  const h = await OpenAiHarness.open({}, { models })
  close = () => h.close()
  return { h, model: `${name}:m`, sent: () => requests.at(-1)?.text.replaceAll('\\', '') ?? '' }
}

const tools = `[{"type":"function","function":{"name":"pay","parameters":${SCHEMA}}}]`

describe.each(NAMES)('numbers beyond 2^53 with %s', (name) => {
  it('reach a client of chat completions, and return to the model with its history', async () => {
    const { h, model, sent } = await open(name)
    const history = `{"role":"user","content":"pay"},
      {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"pay","arguments":${JSON.stringify(INPUT)}}}]},
      {"role":"tool","tool_call_id":"c","content":${JSON.stringify(INPUT)}}`
    for (const stream of [false, true]) {
      const answer = await h.post(
        '/v1/chat/completions',
        `{"model":"${model}","stream":${stream},"messages":[${history}],"tools":${tools}}`,
      )
      expect(answer.status).toBe(200)
      expect((await answer.text()).replaceAll('\\', '')).toContain(INPUT)
      expect(sent().split(INPUT)).toHaveLength(3)
      // The package for Google drops limits of numbers.
      if (name !== 'google') expect(sent()).toContain('"maximum":18446744073709551615')
    }
  })

  it('reach a client of responses, and return to the model with the next one', async () => {
    const { h, model, sent } = await open(name)
    const create = (more: object) => h.client.responses.create({ model, ...more })
    const first = (await create({ input: 'pay' })) as OpenAI.Responses.Response
    const item = first.output.find(({ type }) => type === 'function_call') as OpenAI.Responses.ResponseFunctionToolCall
    expect(item.arguments).toBe(INPUT)
    const output = { type: 'function_call_output', call_id: item.call_id, output: INPUT }
    for (const more of [
      { previous_response_id: first.id, input: [output] },
      { previous_response_id: first.id, input: [output] },
      { input: [{ type: 'item_reference', id: item.id }, output] },
      { input: [item, output] },
    ]) {
      await create(more)
      expect(sent().split(INPUT)).toHaveLength(3)
    }
    const events = await h.client.responses.create({ model, input: 'pay', stream: true })
    const seen: string[] = []
    for await (const event of events) {
      if (event.type === 'response.function_call_arguments.done') seen.push(event.arguments)
    }
    expect(seen).toEqual([INPUT])
  })
})
