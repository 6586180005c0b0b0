// What a client gets, it may send back: outputs of every shape, items by their ids, and messages in their order.
import fc from 'fast-check'
import { SignJWT } from 'jose'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Model } from '../../model/model.ts'
import { type PlayedCall, PlayedModel } from '../../run/test/engine-harness.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const model = new PlayedModel()
const google: Model = {
  id: 'google',
  prefill: 'none',
  contextTokens: 100_000,
  language: Object.assign(Object.create(model.language), { provider: 'google.generative-ai' }),
}
let h: OpenAiHarness
beforeAll(async () => {
  const get = (id?: string): Model => (id === 'google' ? google : model)
  const settings = { PARLEY_REQUEST_RATE: '10000', PARLEY_REQUEST_BURST: '10000' }
  h = await OpenAiHarness.open(settings, { models: { defaultId: 'played', ids: ['played', 'google'], get } })
})
afterAll(() => h.close())

type Piece = readonly ['text' | 'reasoning', string] | readonly ['tool', string, string]
interface Shape {
  readonly pieces: readonly Piece[]
  readonly end: 'stop' | 'tool-calls' | 'length' | 'content-filter'
}

const NOTHING: Shape = { pieces: [], end: 'stop' }

function play(call: PlayedCall, { pieces, end }: Shape): void {
  for (const piece of pieces) {
    if (piece[0] === 'tool') call.tool(piece[1], piece[2])
    else call[piece[0]](piece[1])
  }
  call.finish(pieces.some(([kind]) => kind === 'tool') ? 'tool-calls' : end)
}

const messages = (more: readonly unknown[] = []): OpenAI.ChatCompletionMessageParam[] => [
  { role: 'user', content: 'a?' },
  ...(more as OpenAI.ChatCompletionMessageParam[]),
]

/** Answers the next model call, and resolves with the request's result and the model's prompt. */
async function answered<T>(request: Promise<T>, shape: Shape) {
  // A refused request reaches no model.
  const call = await Promise.race([model.next(), request.then(() => Promise.reject(new Error('no model call')))])
  play(call, shape)
  return { result: await request, prompt: call.options.prompt }
}

const respond = (input: unknown, shape: Shape = NOTHING, more: object = {}) =>
  answered(h.client.responses.create({ model: 'played', input: input as string, ...more }), shape)
const chat = (more: readonly unknown[], shape: Shape = NOTHING) =>
  answered(h.client.chat.completions.create({ model: 'played', messages: messages(more) }), shape)
const streamedChat = (more: readonly unknown[], shape: Shape = NOTHING) =>
  answered(h.client.chat.completions.stream({ model: 'played', messages: messages(more) }).finalChatCompletion(), shape)

async function refusal(request: Promise<unknown>) {
  const error: unknown = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof OpenAI.APIError) return [error.status, error.param, error.message]
  throw new Error('the request did not fail', { cause: error })
}

const words = fc.oneof(
  fc.constantFrom('', ' ', '\n', '0', '{}', 'null'),
  fc.string({ maxLength: 20, unit: 'grapheme' }),
)
const called = fc.oneof(fc.constantFrom('f', 'x'.repeat(200), 'a b'), fc.string({ minLength: 1, maxLength: 30 }))
const shapes: fc.Arbitrary<Shape> = fc.record({
  pieces: fc.array(
    fc.oneof(
      fc.tuple(fc.constantFrom('text' as const, 'reasoning' as const), words),
      fc.tuple(fc.constant('tool' as const), called, fc.oneof(words, fc.json({ maxDepth: 2 }))),
    ),
    { maxLength: 5 },
  ),
  end: fc.constantFrom('stop', 'length'),
})
const EXAMPLES: [Shape][] = [
  [NOTHING],
  [{ pieces: [], end: 'length' }],
  [{ pieces: [['text', '']], end: 'stop' }],
  [{ pieces: [['reasoning', 'hm']], end: 'stop' }],
  [{ pieces: [['tool', 'f', '']], end: 'stop' }],
  [{ pieces: [['tool', 'x'.repeat(200), 'no JSON']], end: 'stop' }],
]
const runs = { numRuns: 30, examples: EXAMPLES }

describe('an output of any shape', () => {
  const results = (calls: readonly string[]) => calls.map((call) => [call, 'done'] as const)

  const chatShapes = fc.tuple(shapes, fc.boolean()).map(([shape, isFiltered]): Shape => {
    return isFiltered ? { ...shape, end: 'content-filter' } : shape
  })
  const filtered: [Shape][] = [
    [{ pieces: [], end: 'content-filter' }],
    [{ pieces: [['text', 'A']], end: 'content-filter' }],
  ]

  it.each([
    ['whole', chat],
    ['streamed', streamedChat],
  ])(
    'is accepted as a message of a chat completion: %s',
    async (_, create) => {
      const roundTrip = async (shape: Shape): Promise<void> => {
        const { result } = await create([], shape)
        const message = result.choices[0]?.message
        const tools = results(message?.tool_calls?.map(({ id }) => id) ?? []).map(([id, content]) => {
          return { role: 'tool', tool_call_id: id, content }
        })
        await chat([message, ...tools, { role: 'user', content: 'b?' }])
      }
      await fc.assert(fc.asyncProperty(chatShapes, roundTrip), { ...runs, examples: [...EXAMPLES, ...filtered] })
    },
    60_000,
  )

  it('is accepted as items, as references to them, and by the id of its response', async () => {
    const roundTrip = async (shape: Shape): Promise<void> => {
      const { result } = await respond('a?', shape)
      const question = { role: 'user', content: 'a?' }
      const calls = result.output.flatMap((item) => (item.type === 'function_call' ? [item.call_id] : []))
      const outputs = results(calls).map(([id, output]) => ({ type: 'function_call_output', call_id: id, output }))
      const next = [...outputs, { role: 'user', content: 'b?' }]
      const whole = await respond([question, ...result.output, ...next])
      const references = result.output.map(({ id }) => ({ type: 'item_reference', id }))
      const referred = await respond([question, ...references, ...next])
      expect(referred.prompt).toEqual(whole.prompt)
      await respond(next, NOTHING, { previous_response_id: result.id })
    }
    await fc.assert(fc.asyncProperty(shapes, roundTrip), runs)
  }, 60_000)
})

describe('a reference to an item', () => {
  const shape: Shape = {
    pieces: [
      ['reasoning', 'hm'],
      ['text', 'A'],
    ],
    end: 'stop',
  }

  // `@ai-sdk/openai` 4.0 sends the items of an answer so, unless `store` is false. Its type may be omitted.
  it('stands for the item, across responses', async () => {
    const first = await respond('a?', shape)
    const [thought, answer] = first.result.output
    const second = await respond([{ id: thought?.id }, { id: answer?.id, type: null }, { role: 'user', content: 'b?' }])
    expect(second.prompt).toMatchObject([
      { role: 'assistant', content: [{ text: 'A' }] },
      { role: 'user', content: [{ text: 'b?' }] },
    ])
  })

  it('is refused if there is no such item', async () => {
    const { result } = await respond('a?', shape)
    const id = result.output[1]?.id ?? ''
    const wrong = [
      'msg_1',
      '',
      'x',
      id.replace(/_1$/, '_2'),
      id.replace('msg', 'fc'),
      id.replace(/_1$/, '_01'),
      `${id}0`,
    ]
    for (const each of wrong) {
      const input = [{ type: 'item_reference' as const, id: each }]
      const request = h.client.responses.create({ model: 'played', input })
      expect(await refusal(request)).toEqual([400, 'input[0].id', '400 Item not found.'])
    }
  })

  it('is refused if the item belongs to another user', async () => {
    const secret = 'a secret that is long enough for HS256'
    const guarded = await OpenAiHarness.open({ PARLEY_JWT_SECRET: secret })
    const as = async (user: string): Promise<OpenAI> => {
      const token = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(user).setExpirationTime('1h')
      return guarded.clientWith(await token.sign(new TextEncoder().encode(secret)))
    }
    try {
      const [ann, eve] = await Promise.all([as('ann'), as('eve')])
      const { output } = await ann.responses.create({ model: 'demo', input: '/demo count=1 rate=0' })
      const input = [{ type: 'item_reference' as const, id: output[0]?.id ?? '' }]
      const stolen = eve.responses.create({ model: 'demo', input })
      expect(await refusal(stolen)).toEqual([400, 'input[0].id', '400 Item not found.'])
      expect(await ann.responses.create({ model: 'demo', input })).toMatchObject({ status: 'completed' })
    } finally {
      await guarded.close()
    }
  })

  it('is refused while the item still grows', async () => {
    const stream = await h.client.responses.create({ model: 'played', input: 'a?', stream: true })
    const call = await model.next()
    call.text('A')
    let id = ''
    for await (const event of stream) {
      if (event.type === 'response.output_item.added') id = event.item.id ?? ''
      if (event.type !== 'response.output_text.delta') continue
      const input = [{ type: 'item_reference' as const, id }]
      const request = h.client.responses.create({ model: 'played', input })
      expect(await refusal(request)).toEqual([400, 'input[0].id', '400 The item is not complete yet.'])
      call.finish()
    }
  })
})

describe('an image or file', () => {
  const DOT = 'iVBORw0KGgo='
  const image = { type: 'input_image', image_url: `data:image/png;base64,${DOT}` }
  const file = { type: 'input_file', file_data: `data:application/pdf;base64,${DOT}`, filename: 'a.pdf' }

  // openai-agents 0.24, langchain-openai 1.7, pydantic-ai 2.68 and ai 7 send results of tools so.
  it('in a tool output reaches the model, after the results of all calls', async () => {
    const calls = ['c1', 'c2'].map((call_id) => ({ type: 'function_call', call_id, name: 'shoot', arguments: '{}' }))
    const outputs = [
      { type: 'function_call_output', call_id: 'c1', output: [{ type: 'input_text', text: 'Here: ' }, image, file] },
      { type: 'function_call_output', call_id: 'c2', output: [image] },
    ]
    const { prompt } = await respond([{ role: 'user', content: 'a?' }, ...calls, ...outputs])
    expect(prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user', 'user'])
    expect(prompt.slice(2)).toMatchObject([
      {
        content: [
          { toolCallId: 'c1', output: { value: 'Here: [file 1: image/png][file 2: a.pdf]' } },
          { toolCallId: 'c2', output: { value: '[file 1: image/png]' } },
        ],
      },
      {
        content: [
          { type: 'text', text: 'Files in the result of shoot (c1):' },
          { type: 'file', mediaType: 'image/png', data: DOT },
          { type: 'file', mediaType: 'application/pdf', data: DOT, filename: 'a.pdf' },
        ],
      },
      { content: [{ text: 'Files in the result of shoot (c2):' }, { mediaType: 'image/png', data: DOT }] },
    ])
  })

  it('in the result of a call of an earlier response reaches the model', async () => {
    const shape: Shape = { pieces: [['tool', 'shoot', '{}']], end: 'tool-calls' }
    const { result } = await respond('a?', shape)
    const [call] = result.output
    const call_id = call?.type === 'function_call' ? call.call_id : ''
    const output = [{ type: 'function_call_output', call_id, output: [image] }]
    const { prompt } = await respond(output, NOTHING, { previous_response_id: result.id })
    expect(prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
    expect(prompt.at(-1)).toMatchObject({ content: [{ type: 'text' }, { type: 'file', mediaType: 'image/png' }] })
  })

  it.each(['system', 'developer', 'assistant'])('in a message of the role %s is refused', async (role) => {
    for (const part of [image, file]) {
      const input = [{ role, content: [{ type: 'input_text', text: 'x' }, part] }] as OpenAI.Responses.ResponseInput
      const [status, param] = await refusal(h.client.responses.create({ model: 'played', input }))
      expect([status, param]).toEqual([400, 'input[0].content[1]'])
    }
  })
})

describe('messages', () => {
  const turns = [
    { role: 'system', content: 'One.' },
    { role: 'developer', content: 'Two.' },
    { role: 'user', content: 'a?' },
    { role: 'assistant', content: 'A' },
    { role: 'system', content: 'New.' },
    { role: 'user', content: 'b?' },
    { role: 'user', content: 'c?' },
    { role: 'developer', content: 'Last.' },
  ]
  const say = (role: string, text: string) => ({ role, content: [{ type: 'text', text }] })
  const talk = [say('user', 'a?'), say('assistant', 'A')]

  // pydantic-ai 2.68 sends a system message after the others when it asks again.
  it('keep their order, and are not joined', async () => {
    const expected = [
      { role: 'system', content: 'One.\n\nTwo.' },
      ...talk,
      { role: 'system', content: 'New.' },
      say('user', 'b?'),
      say('user', 'c?'),
      { role: 'system', content: 'Last.' },
    ]
    const create = { model: 'played', messages: turns as OpenAI.ChatCompletionMessageParam[] }
    expect((await answered(h.client.chat.completions.create(create), NOTHING)).prompt).toEqual(expected)
    expect((await respond(turns)).prompt).toEqual(expected)
  })

  it('keep their place as marked user messages for a provider that takes system messages only first', async () => {
    const { prompt } = await respond(turns, NOTHING, { model: 'google' })
    expect(prompt).toEqual([
      { role: 'system', content: 'One.\n\nTwo.' },
      ...talk,
      say('user', '<system>\nNew.\n</system>'),
      say('user', 'b?'),
      say('user', 'c?'),
      say('user', '<system>\nLast.\n</system>'),
    ])
  })

  it('of the system stay when the prompt of a continued response is built', async () => {
    const first = await respond(turns.slice(0, 3), { pieces: [['text', 'A']], end: 'stop' })
    const { prompt } = await respond(turns.slice(4), NOTHING, { previous_response_id: first.result.id })
    expect(prompt).toEqual([
      { role: 'system', content: 'One.\n\nTwo.' },
      ...talk,
      { role: 'system', content: 'New.' },
      say('user', 'b?'),
      say('user', 'c?'),
      { role: 'system', content: 'Last.' },
    ])
  })
})
