// The input of a response, as OpenAI's own client lists it, page by page; and its items, which later requests may refer to.
import type OpenAI from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { PlayedModel } from '../../run/test/engine-harness.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const PIXEL = 'data:image/png;base64,iVBORw0KGgo='
const model = new PlayedModel()
let h: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open({}, { models: { defaultId: 'played', ids: ['played'], get: () => model } })
})
afterAll(() => h.close())

type Input = OpenAI.Responses.ResponseCreateParams['input']

/** Creates a response whose output is `text`. @returns it, and the model's prompt */
async function respond(input: Input, text: string, more: object = {}) {
  const [call, response] = await Promise.all([
    model.next().then((next) => {
      next.text(text)
      next.finish()
      return next
    }),
    h.client.responses.create({ model: 'played', ...(input === undefined ? {} : { input }), ...more }),
  ])
  return { response: response as OpenAI.Responses.Response, prompt: call.options.prompt }
}

const INPUT: Input = [
  { role: 'developer', content: 'Be brief.' },
  { role: 'user', content: 'look' },
  { type: 'reasoning', id: 'rs_x', summary: [], encrypted_content: 'c1.{"model":"played"}' },
  { type: 'function_call', call_id: 'c1', name: 'see', arguments: '{"id":12345678901234567890}' },
  {
    type: 'function_call_output',
    call_id: 'c1',
    output: [
      { type: 'input_text', text: 'before ' },
      { type: 'input_image', image_url: PIXEL, detail: 'auto' },
      { type: 'input_text', text: ' after' },
    ],
  },
  { role: 'assistant', content: 'A dot.' },
  {
    role: 'user',
    content: [
      { type: 'input_image', image_url: PIXEL, detail: 'auto' },
      { type: 'input_file', file_url: 'https://example.org/a.pdf', filename: 'a.pdf' },
    ],
  },
]

async function listed(id: string, query: OpenAI.Responses.InputItemListParams) {
  const items: OpenAI.Responses.ResponseItem[] = []
  for await (const item of h.client.responses.inputItems.list(id, query)) items.push(item)
  return items
}

/** What the model gets, without the ids. */
const shapeOf = (items: readonly object[]) => items.map((item) => ({ ...item, id: undefined }))

it('lists the items from which a response was generated, in either order, page by page', async () => {
  const first = await respond(INPUT, 'Yes, a dot.', { instructions: 'See.' })
  const second = await respond('And now?', 'Still.', { previous_response_id: first.response.id })
  const items = await listed(second.response.id, { order: 'asc' })
  expect(items).toMatchObject([
    { type: 'message', role: 'system', content: [{ type: 'input_text', text: 'Be brief.' }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'look' }] },
    { type: 'reasoning', encrypted_content: 'c1.{"model":"played"}' },
    { type: 'function_call', call_id: 'c1', name: 'see', arguments: '{"id":12345678901234567890}' },
    {
      type: 'function_call_output',
      call_id: 'c1',
      output: [
        { type: 'input_text', text: 'before ' },
        { type: 'input_image', image_url: PIXEL },
        { type: 'input_text', text: ' after' },
      ],
    },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'A dot.' }] },
    {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_image', image_url: PIXEL },
        { type: 'input_file', file_url: 'https://example.org/a.pdf', filename: 'a.pdf' },
      ],
    },
    first.response.output[0],
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'And now?' }] },
  ])
  expect(new Set(items.map(({ id }) => id)).size).toBe(items.length)
  for (const limit of [1, 3, 9, 100]) {
    expect(await listed(second.response.id, { limit })).toEqual(items.toReversed())
    expect(await listed(second.response.id, { limit, order: 'asc' })).toEqual(items)
  }
  const page = await h.client.responses.inputItems.list(second.response.id, { limit: 2 })
  expect(page.has_more).toBe(true)
  expect(page.data).toEqual(items.toReversed().slice(0, 2))
  // A response that continues elsewhere lists the same conversation as its own input.
  const fork = await respond('Or else?', 'No.', { previous_response_id: first.response.id })
  const before = shapeOf(await listed(fork.response.id, { order: 'asc' }))
  expect(before.slice(0, -1)).toEqual(shapeOf(items.slice(0, -1)))
})

it('takes each listed item back by its id, across responses', async () => {
  const first = await respond(INPUT, 'Yes.')
  const items = await listed(first.response.id, { order: 'asc' })
  const references = items.map(({ id }) => ({ type: 'item_reference' as const, id: id ?? '' }))
  const again = await respond(references, 'Again.')
  expect(again.prompt).toEqual(first.prompt)
  const known = await listed(again.response.id, { order: 'asc' })
  expect(shapeOf(known)).toEqual(shapeOf(items))
  const [item] = known
  const { prompt } = await respond(
    [
      { type: 'item_reference', id: item?.id ?? '' },
      { role: 'user', content: 'x' },
    ],
    '',
  )
  expect(prompt[0]).toEqual({ role: 'system', content: 'Be brief.' })
})

it('accepts a file by URL that came over another transport', async () => {
  const content = [{ type: 'file', mediaType: 'application/pdf', name: 'b.pdf', url: 'https://example.org/b.pdf' }]
  const [call, sent] = await Promise.all([
    model.next().then((next) => {
      next.text('Read.')
      next.finish()
      return next
    }),
    h.post('/v1/sessions/native/messages', { content }),
  ])
  const { run } = (await sent.json()) as { run: string }
  const [item] = await listed(`resp_${run}-native`, {})
  expect(item).toMatchObject({ content: [{ type: 'input_file', file_url: 'https://example.org/b.pdf' }] })
  const { prompt } = await respond([{ type: 'item_reference', id: item?.id ?? '' }], 'Again.')
  expect(prompt).toEqual(call.options.prompt)
})

it('refuses unknown responses, unknown items and invalid pages', async () => {
  const { response } = await respond('hi', 'ho')
  const get = async (path: string) => {
    const answer = await fetch(`${h.server.url}/v1/responses/${path}`)
    return [answer.status, ((await answer.json()) as { error: { param: string | null } }).error.param]
  }
  expect(await get('resp_run_x-y/input_items')).toEqual([404, null])
  expect(await get(`${response.id}/input_items?limit=0`)).toEqual([400, 'limit'])
  expect(await get(`${response.id}/input_items?limit=101`)).toEqual([400, 'limit'])
  expect(await get(`${response.id}/input_items?order=up`)).toEqual([400, 'order'])
  expect(await get(`${response.id}/input_items?after=${response.output[0]?.id}`)).toEqual([400, 'after'])
})
