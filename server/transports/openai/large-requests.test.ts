// Requests of up to 16 MiB, as agents send them: the model gets all of it, on both stores; the session's readers get a small entry.
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { PlayedModel } from '../../run/test/engine-harness.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const MEBI = 1024 * 1024
/** Longer than OpenAI's client waits by default in these tests, on a busy machine. */
const LONG_MS = 60_000

let nats: NatsServer
beforeAll(async () => {
  nats = await NatsServer.start()
})
afterAll(() => nats.dispose())

const call = (id: string) => ({
  role: 'assistant' as const,
  tool_calls: [{ id, type: 'function' as const, function: { name: 'read', arguments: '{"id":12345678901234567890}' } }],
})
/** An agent's history: a tool result of this many UTF-16 code units for each id. */
const results = (count: number, length: number) =>
  Array.from({ length: count }, (_, i) => [
    call(`c${i}`),
    { role: 'tool' as const, tool_call_id: `c${i}`, content: `${i} ${'x'.repeat(length)}` },
  ]).flat()
const image = (bytes: number) => `data:image/png;base64,${'A'.repeat(bytes)}`

describe.each(['LMDB', 'JetStream'])('a large request, stored on %s', (store) => {
  const model = new PlayedModel()
  let h: OpenAiHarness
  beforeAll(async () => {
    const settings: Record<string, string> = store === 'LMDB' ? {} : { PARLEY_NATS_URL: nats.url }
    h = await OpenAiHarness.open(settings, { models: { defaultId: 'played', ids: ['played'], get: () => model } })
  })
  afterAll(() => h.close())

  /** Answers the next model call. @returns its prompt, and the request's result */
  async function answered<T>(request: Promise<T>) {
    const next = await Promise.race([model.next(), request.then(() => Promise.reject(new Error('no model call')))])
    next.text('Done.')
    next.finish()
    return { result: await request, prompt: next.options.prompt }
  }

  const chat = (messages: readonly unknown[], key?: string) =>
    h.client.chat.completions.create(
      { model: 'played', messages: messages as OpenAI.ChatCompletionMessageParam[] },
      key === undefined ? {} : { headers: { 'Idempotency-Key': key } },
    )

  it(
    'reaches the model with eleven tool results of 100 kB, an image and a long system message',
    async () => {
      const messages = [
        { role: 'system', content: 's'.repeat(2 * MEBI) },
        { role: 'user', content: [{ type: 'image_url', image_url: { url: image(8 * MEBI) } }] },
        ...results(11, 100_000),
        { role: 'user', content: [{ type: 'text', text: 'u'.repeat(2 * MEBI) }] },
      ]
      const { result, prompt } = await answered(chat(messages, 'large'))
      expect(result.choices[0]?.message.content).toBe('Done.')
      expect(prompt.map(({ role }) => role).join(' ')).toBe(`system user ${'assistant tool '.repeat(11)}user`)
      const sizes = prompt.map((message) => JSON.stringify(message).length)
      expect(sizes[0]).toBeGreaterThan(2 * MEBI)
      expect(sizes[1]).toBeGreaterThan(8 * MEBI)
      expect(sizes.at(-2)).toBeGreaterThan(100_000)
      expect(sizes.at(-1)).toBeGreaterThan(2 * MEBI)
      // The same request again is the same run; a reader of the session gets little of it.
      expect((await chat(messages, 'large')).id).toBe(result.id)
      const session = /^chatcmpl-run_[a-z0-9]+-(.+)$/.exec(result.id)?.[1]
      const events = await (await fetch(`${h.server.url}/v1/sessions/${session}/events`)).text()
      expect(events.length).toBeLessThan(100_000)
      expect(events).toContain('"abridged":')
    },
    LONG_MS,
  )

  it(
    'is continued with previous_response_id, in the same session and in another, and its items are listed',
    async () => {
      const output = `${'y'.repeat(900_000)}!`
      const input = [
        { role: 'user' as const, content: 'read' },
        { type: 'function_call' as const, call_id: 'c', name: 'read', arguments: '{}' },
        { type: 'function_call_output' as const, call_id: 'c', output },
      ]
      const first = await answered(h.client.responses.create({ model: 'played', input }))
      for (const text of ['next', 'other']) {
        const more = { model: 'played', previous_response_id: first.result.id, input: text }
        const { prompt } = await answered(h.client.responses.create(more))
        expect(prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'user'])
        expect(JSON.stringify(prompt)).toContain(output)
      }
      const page = await h.client.responses.inputItems.list(first.result.id)
      expect(page.data).toMatchObject([{ output }, { type: 'function_call' }, { role: 'user' }])
      const references = page.data.toReversed().map(({ id }) => ({ type: 'item_reference' as const, id: id ?? '' }))
      const again = await answered(h.client.responses.create({ model: 'played', input: references }))
      expect(JSON.stringify(again.prompt)).toContain(output)
    },
    LONG_MS,
  )

  it('is refused beyond the limit, with 413', async () => {
    const error: unknown = await chat([{ role: 'user', content: 'x'.repeat(16 * MEBI) }]).catch((reason) => reason)
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect((error as InstanceType<typeof OpenAI.APIError>).status).toBe(413)
    const tools = Array.from({ length: 100 }, (_, i) => ({
      type: 'function',
      function: { name: `t${i}`, parameters: { description: 'x'.repeat(20_000) } },
    }))
    const body = { model: 'played', messages: [{ role: 'user', content: 'hi' }], tools }
    expect((await h.post('/v1/chat/completions', body)).status).toBe(400)
  })
})
