// Chains of responses (`previous_response_id`): the model gets all of them, as its caller sent them, also when the session is not in memory.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LanguageModelV3Prompt } from '@ai-sdk/provider'
import OpenAI from 'openai'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { PlayedModel } from '../../run/test/engine-harness.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const LONG_MS = 120_000
let model: PlayedModel
let folder: string
let h: OpenAiHarness
const open = async (): Promise<void> => {
  const models = { defaultId: 'played', ids: ['played'], get: () => model }
  h = await OpenAiHarness.open({ PARLEY_DATA: folder }, { models })
}
beforeEach(async () => {
  model = new PlayedModel()
  folder = mkdtempSync(join(tmpdir(), 'parley-chains-'))
  await open()
})
afterEach(async () => {
  await h.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Creates a response whose output is `text`. @returns its id, and the model's prompt */
async function respond(
  input: string,
  before?: string,
  { text = 'ok', ...more }: { text?: string; truncation?: 'auto' } = {},
) {
  const previous = before === undefined ? {} : { previous_response_id: before }
  const request = h.client.responses.create({ model: 'played', input, ...previous, ...more })
  const failed = request.then(() => Promise.reject(new Error('no model call')))
  const call = await Promise.race([model.next(), failed])
  if (text !== '') call.text(text)
  call.finish()
  const { id, parley } = (await request) as OpenAI.Responses.Response & { parley?: { notices: unknown } }
  return { id, prompt: call.options.prompt, notices: parley?.notices }
}

/** The first word of each user message. */
function askedIn(prompt: LanguageModelV3Prompt): string[] {
  return prompt.flatMap(({ role, content }) =>
    role === 'user'
      ? [content.flatMap((part) => (part.type === 'text' ? [part.text.split(' ')[0]] : [])).join('+')]
      : [],
  )
}

it('keeps user messages apart that have no answer between them', async () => {
  const first = await respond('one', undefined, { text: '' })
  const { prompt } = await respond('two', first.id)
  expect(askedIn(prompt)).toEqual(['one', 'two'])
})

it(
  'are continued, forked and listed completely after a restart, or the answer says that they are cut',
  async () => {
    model.contextTokens = 10_000_000
    const all = Array.from({ length: 14 }, (_, i) => `q${i}`)
    let last: string | undefined
    for (const word of all) last = (await respond(`${word} ${'x'.repeat(200_000)}`, last)).id
    await h.server.close()
    await open()
    let next: string | undefined
    for (const word of ['next', 'fork']) {
      const { id, prompt, notices } = await respond(word, last)
      next ??= id
      expect([askedIn(prompt), notices]).toEqual([[...all, word], undefined])
      let items = 0
      for await (const item of h.client.responses.inputItems.list(id, { limit: 10 }))
        items += item.type === 'message' ? 1 : 0
      expect(items).toBe(2 * all.length + 1)
    }
    // The server loads 1 MiB of the session for it.
    const { prompt, notices } = await respond('auto', next, { truncation: 'auto' })
    expect(askedIn(prompt).slice(-3)).toEqual(['q13', 'next', 'auto'])
    expect(askedIn(prompt)).not.toContain('q0')
    expect(notices).toEqual([{ code: 'history_omitted', count: 1 }])
  },
  LONG_MS,
)

it(
  'beyond 16 MiB are continued only with automatic truncation',
  async () => {
    let last: string | undefined
    const words = 'y'.repeat(6_000_000)
    for (const word of ['a', 'b', 'c']) last = (await respond(`${word} ${words}`, last)).id
    for (const code of ['context_length_exceeded', null]) {
      const body = {
        model: 'played',
        input: `d ${words}`,
        ...(last === undefined ? {} : { previous_response_id: last }),
      }
      const error: unknown = await h.client.responses.create(body).catch((reason) => reason)
      expect(error).toBeInstanceOf(OpenAI.APIError)
      expect(error).toMatchObject({ status: 400, code })
    }
    const { prompt } = await respond(`d ${words}`, last, { truncation: 'auto' })
    expect(askedIn(prompt)).toEqual(['d'])
  },
  LONG_MS,
)
