// Responses in a conversation, their deletion, and the estimate of input tokens, with OpenAI's client.
import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoText } from '../../model/demo-answer.ts'
import { type PlayedCall, PlayedModel } from '../../run/test/engine-harness.ts'
import { failure, OpenAiHarness } from './test/openai-harness.ts'

let h: OpenAiHarness
const model = new PlayedModel()
let played: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open()
  played = await OpenAiHarness.open({}, { models: { defaultId: 'played', ids: ['played'], get: () => model } })
})
afterAll(async () => {
  await Promise.all([h.close(), played.close()])
})

const INPUT = '/demo count=3 rate=0'
const create = (more: object = {}): Promise<OpenAI.Responses.Response> =>
  h.client.responses.create({ model: 'demo', input: INPUT, ...more })

/** Plays the next model call. */
async function answerWith(text: string): Promise<PlayedCall> {
  const call = await model.next()
  call.text(text)
  call.finish()
  return call
}

describe('a conversation', () => {
  it('is a session, whichever transport wrote its messages', async () => {
    const sent = played.post('/v1/sessions/trip/messages', { content: 'Where is Oslo?' })
    await answerWith('In Norway.')
    await sent
    const asked = played.client.responses.create({ model: 'played', input: 'And Bern?', conversation: { id: 'trip' } })
    const { options } = await answerWith('In Switzerland.')
    expect(JSON.stringify(options.prompt)).toMatch(/Where is Oslo.*In Norway.*And Bern/)
    const response = await asked
    expect(response).toMatchObject({ conversation: { id: 'trip' }, previous_response_id: null })
    expect(await played.client.responses.retrieve(response.id)).toMatchObject({ conversation: { id: 'trip' } })
    const items = await played.client.responses.inputItems.list(response.id, { order: 'asc' })
    expect(items.data.map((item) => ('role' in item ? item.role : ''))).toEqual(['user', 'assistant', 'user'])
  })

  it('begins with its first response, and continues after each', async () => {
    const first = await create({ conversation: 'walk' })
    const second = await create({ conversation: 'walk' })
    const third = await create({ previous_response_id: second.id })
    const sessions = [first, second, third].map(({ id }) => id.slice(id.indexOf('-') + 1))
    expect(sessions).toEqual(['walk', 'walk', 'walk'])
    const items = await h.client.responses.inputItems.list(third.id)
    expect(items.data).toHaveLength(5)
  })
})

describe('a deleted response', () => {
  it('is gone with its session', async () => {
    const { id } = await create()
    const answer = await fetch(`${h.server.url}/v1/responses/${id}`, { method: 'DELETE' })
    expect([answer.status, await answer.json()]).toEqual([200, { id, object: 'response', deleted: true }])
    await h.deleted(id)
    expect((await failure(h.client.responses.retrieve(id))).status).toBe(404)
    const other = await create()
    await h.client.responses.delete(other.id)
    await h.deleted(other.id)
  })

  it('does not exist for this API, and those that continue from it do', async () => {
    const { responses } = h.client
    const first = await create()
    const second = await create({ previous_response_id: first.id })
    const [item] = first.output
    await responses.delete(first.id)
    for (const request of [
      () => responses.retrieve(first.id),
      () => responses.cancel(first.id),
      () => responses.inputItems.list(first.id),
      () => responses.delete(first.id),
      () => responses.delete('resp_x'),
    ]) {
      expect((await failure(request())).status).toBe(404)
    }
    const continued = { status: 400, code: 'previous_response_not_found' }
    expect(await failure(create({ previous_response_id: first.id }))).toMatchObject(continued)
    const reference = { type: 'item_reference', id: item?.id }
    expect((await failure(create({ input: [reference, { role: 'user', content: INPUT }] }))).status).toBe(400)
    expect(await responses.retrieve(second.id)).toMatchObject({ output_text: demoText(INPUT) })
    const third = await create({ previous_response_id: second.id })
    expect((await responses.inputItems.list(third.id)).data).toHaveLength(5)
    await responses.delete(third.id)
    // Nothing else is left.
    await responses.delete(second.id)
    await h.deleted(second.id)
  })

  it('ends if it is being made', async () => {
    await create({ conversation: 'busy' })
    const { id } = await create({ conversation: 'busy', input: '/demo count=1000 rate=20', background: true })
    await h.client.responses.delete(id)
    expect((await failure(h.client.responses.retrieve(id))).status).toBe(404)
    const next = await create({ conversation: 'busy' })
    expect(next.output_text).toBe(demoText(INPUT))
  })
})

describe('input tokens', () => {
  const count = async (body: object): Promise<number> => {
    const answer = await h.post('/v1/responses/input_tokens', { model: 'demo', ...body })
    expect(answer.status).toBe(200)
    const counted = (await answer.json()) as { object: string; input_tokens: number }
    expect(counted.object).toBe('response.input_tokens')
    return counted.input_tokens
  }

  it('grow with each part of the prompt', async () => {
    const plain = await count({ input: 'hello there' })
    expect(plain).toBeGreaterThan(2)
    expect(await count({ input: 'hello there', instructions: 'Answer briefly.' })).toBeGreaterThan(plain)
    const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object' } }]
    expect(await count({ input: 'hello there', tools })).toBeGreaterThan(plain)
    expect(await count({})).toBeLessThan(plain)
    const { id } = await create({ conversation: 'counted' })
    const more = await count({ input: 'hello there', previous_response_id: id })
    expect(more).toBeGreaterThan(plain)
    expect(await count({ input: 'hello there', conversation: 'counted' })).toBe(more)
    expect(await count({ input: 'hello there', conversation: 'nobody' })).toBe(plain)
  })

  it('need a known model and a known response', async () => {
    const path = '/v1/responses/input_tokens'
    expect((await h.post(path, { model: 'other', input: 'x' })).status).toBe(404)
    expect((await h.post(path, { model: 'demo', previous_response_id: 'resp_x' })).status).toBe(400)
  })
})
