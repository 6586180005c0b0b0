// The caller holds the history: a provider gets back what it wants with a call, in the form in which callers send it, over both APIs.
// The stand-in providers refuse every request without it.
import type OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { createModelCatalog } from '../../model/model-catalog.ts'
import { answerOf, MARKING_PROVIDERS, type MarkingProvider } from '../../model/test/marking-provider.ts'
import { provide } from '../../model/test/model-at.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

type ChatMessage = OpenAI.ChatCompletionMessageParam
type Input = OpenAI.Responses.ResponseInputItem[]

const open: OpenAiHarness[] = []
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close()
})

async function start(provider: MarkingProvider) {
  const bodies: object[] = []
  const server = await provide(answerOf(provider, (body) => bodies.push(body)))
  const [name = ''] = provider.id.split(':')
  const models = createModelCatalog({ model: provider.id, [name]: { url: server.url, key: 'k' } })
  const h = await OpenAiHarness.open({}, { models })
  open.push(h)
  const parameters = { type: 'object', properties: { city: { type: 'string' } } }
  const chat = (more: readonly unknown[]) =>
    h.client.chat.completions.create({
      model: provider.id,
      messages: [{ role: 'user', content: 'go' }, ...(more as ChatMessage[])],
      tools: [{ type: 'function', function: { name: 'where', parameters } }],
    })
  const respond = (input: readonly unknown[], more: { previous_response_id?: string; stream?: false } = {}) =>
    h.client.responses.create({
      model: provider.id,
      input: input as Input,
      tools: [{ type: 'function', name: 'where', parameters, strict: false }],
      ...more,
    })
  return { h, chat, respond, bodies }
}

const GO = { role: 'user', content: 'go' }
const resultsOf = (response: OpenAI.Responses.Response): Input =>
  response.output.flatMap((item) =>
    item.type === 'function_call'
      ? [{ type: 'function_call_output' as const, call_id: item.call_id, output: 'here' }]
      : [],
  )

describe.each(MARKING_PROVIDERS.map((provider) => [provider.id, provider] as const))('%s', (_, provider) => {
  it('gets its marks back from a chat completion’s message, as the client received it', async () => {
    const { chat, bodies } = await start(provider)
    const [choice] = (await chat([])).choices
    const calls = choice?.message.tool_calls ?? []
    const results = calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'here' }))
    const answered = await chat([choice?.message, ...results])
    expect(answered.choices[0]?.message.content).toBe('done')
    expect(bodies).toHaveLength(2)
  })

  it('gets its marks back from a response’s items: sent again, by reference, and by the response’s id', async () => {
    const { respond, bodies } = await start(provider)
    const first = await respond([GO])
    const results = resultsOf(first)
    expect(results).toHaveLength(2)
    const references = first.output.map(({ id }) => ({ type: 'item_reference', id }))
    for (const more of [
      () => respond([GO, ...first.output, ...results]),
      () => respond([GO, ...references, ...results]),
      () => respond(results, { previous_response_id: first.id }),
      // Now that another response has continued from the first one, this one gets a session of its own.
      () => respond(results, { previous_response_id: first.id }),
    ]) {
      expect((await more()).output_text).toBe('done')
    }
    expect(bodies).toHaveLength(5)
  })

  it('streams the same marks', async () => {
    const { h } = await start(provider)
    const body = { model: provider.id, stream: true }
    const chunks = await h.client.chat.completions.create({
      ...body,
      stream: true,
      messages: [{ role: 'user', content: 'go' }],
      tools: [{ type: 'function', function: { name: 'where' } }],
    })
    const extras: unknown[] = []
    for await (const chunk of chunks) {
      for (const call of chunk.choices[0]?.delta.tool_calls ?? []) extras.push('extra_content' in call)
    }
    expect(extras[0]).toBe(true)
    const events = await h.client.responses.create({
      ...body,
      stream: true,
      input: 'go',
      tools: [{ type: 'function', name: 'where', parameters: null, strict: false }],
    })
    const done: unknown[] = []
    let whole: unknown
    for await (const event of events) {
      if (event.type === 'response.output_item.done') done[event.output_index] = event.item
      if (event.type === 'response.completed') whole = event.response.output
    }
    expect(done).toEqual(whole)
    expect(done.filter((item) => (item as { encrypted_content?: string }).encrypted_content !== undefined)).not.toEqual(
      [],
    )
  })
})

describe('a client of chat completions', () => {
  it('that keeps only Gemini’s own field returns enough for Gemini', async () => {
    const google = MARKING_PROVIDERS.find(({ id }) => id.startsWith('google')) as MarkingProvider
    const { chat, bodies } = await start(google)
    const [choice] = (await chat([])).choices
    const calls = (choice?.message.tool_calls ?? []).map((call) => {
      const { google: own } = (call as { extra_content?: { google?: object } }).extra_content ?? {}
      return { ...call, extra_content: own === undefined ? undefined : { google: own } }
    })
    const results = calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'here' }))
    const answered = await chat([{ role: 'assistant', content: null, tool_calls: calls }, ...results])
    expect(answered.choices[0]?.message.content).toBe('done')
    expect(bodies).toHaveLength(2)
  })

  it('that keeps the reasoning returns enough for servers that want it', async () => {
    // The AI SDK’s package for compatible servers does so, if its provider is named google.
    const compatible = MARKING_PROVIDERS.find(({ id }) => id.startsWith('compatible')) as MarkingProvider
    const { chat, bodies } = await start(compatible)
    const [choice] = (await chat([])).choices
    const { reasoning_content, tool_calls = [] } = (choice?.message ?? {}) as unknown as {
      reasoning_content: string
      tool_calls: { id: string; extra_content?: { google?: object } }[]
    }
    const calls = tool_calls.map(({ extra_content: extra, ...call }) => ({
      ...call,
      extra_content: { google: extra?.google },
    }))
    const results = calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'here' }))
    const answered = await chat([
      { role: 'assistant', content: null, reasoning_content, tool_calls: calls },
      ...results,
    ])
    expect(answered.choices[0]?.message.content).toBe('done')
    expect(bodies).toHaveLength(2)
  })
})
