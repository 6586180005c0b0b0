// Answers that must not be stored: they were kept all the same, and could be read, continued and referred to.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { demoText } from '../../model/demo-answer.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

let h: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open()
})
afterAll(() => h.close())

const ANSWER = '/demo count=3 rate=0'
const create = (more: Partial<OpenAI.Responses.ResponseCreateParamsNonStreaming>, key?: string) =>
  h.client.responses.create(
    { model: 'demo', input: ANSWER, ...more },
    key === undefined ? {} : { headers: { 'Idempotency-Key': key } },
  )
const status = (request: Promise<unknown>): Promise<number> =>
  request.then(
    () => 200,
    (error: unknown) => (error instanceof OpenAI.APIError ? error.status : undefined) ?? 0,
  )

it('are given, and deleted with their sessions', async () => {
  const response = await create({ store: false })
  expect(response).toMatchObject({ status: 'completed', store: false, output_text: demoText(ANSWER) })
  const completion = await h.client.chat.completions.create({
    model: 'demo',
    messages: [{ role: 'user', content: ANSWER }],
    store: false,
  })
  expect(completion.choices[0]?.message.content).toBe(demoText(ANSWER))
  await h.deleted(response.id)
  await h.deleted(completion.id)
})

it('are streamed to their end before that', async () => {
  const events = []
  const stream = await h.client.responses.create({ model: 'demo', input: ANSWER, store: false, stream: true })
  for await (const event of stream) events.push(event)
  const last = events.at(-1)
  if (last?.type !== 'response.completed') throw new Error(`the last event is ${last?.type}`)
  expect(last.response).toMatchObject({ store: false })
  await h.deleted(last.response.id)
  const chunks = []
  const chat = { model: 'demo', messages: [{ role: 'user' as const, content: ANSWER }], store: false }
  for await (const chunk of await h.client.chat.completions.create({ ...chat, stream: true })) chunks.push(chunk)
  expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
  await h.deleted(chunks[0]?.id ?? '')
})

it('cannot be read, cancelled, continued or referred to, even with a key', async () => {
  const response = await create({ store: false }, 'unstored')
  const { id } = response
  const item = { type: 'item_reference' as const, id: response.output[0]?.id ?? '' }
  expect(await status(h.client.responses.retrieve(id))).toBe(404)
  expect(await status(h.client.responses.cancel(id))).toBe(404)
  expect(await status(create({ previous_response_id: id }))).toBe(400)
  expect(await status(create({ input: [item, { role: 'user', content: 'x' }] }))).toBe(400)
  // The same request gets the same answer: a client whose connection failed can retry.
  expect(await create({ store: false }, 'unstored')).toEqual(response)
  const chat = { model: 'demo', messages: [{ role: 'user' as const, content: ANSWER }], store: false }
  const completion = await h.client.chat.completions.create(chat, { headers: { 'Idempotency-Key': 'chat' } })
  expect(await status(h.client.responses.retrieve(completion.id.replace('chatcmpl-', 'resp_')))).toBe(404)
})

it('are deleted by a server that shuts down before their end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-unstored-'))
  let own = await OpenAiHarness.open({ PARLEY_DATA: folder })
  try {
    const request = { model: 'demo', input: '/demo count=1000 rate=20 ttft=0', store: false, stream: true } as const
    const stream = (await own.client.responses.create(request))[Symbol.asyncIterator]()
    const { value: first } = await stream.next()
    if (first?.type !== 'response.created') throw new Error(`the first event is ${first?.type}`)
    const rest = async (): Promise<void> => {
      for (;;) if ((await stream.next()).done === true) return
    }
    await Promise.all([expect(rest()).rejects.toThrow(), own.close()])
    own = await OpenAiHarness.open({ PARLEY_DATA: folder })
    await own.deleted(first.response.id)
  } finally {
    await own.close()
    rmSync(folder, { recursive: true, force: true })
  }
})

it('do not become part of the session that they continue', async () => {
  const stored = await create({})
  const unstored = await create({ store: false, previous_response_id: stored.id })
  expect(unstored.previous_response_id).toBe(stored.id)
  await h.deleted(unstored.id)
  const next = await create({ previous_response_id: stored.id })
  // It continues in the same session, as the first that does.
  expect(next.id.split('-')[1]).toBe(stored.id.split('-')[1])
  expect(await h.client.responses.retrieve(stored.id)).toMatchObject({ status: 'completed' })
})
