// Responses, tested with OpenAI's own client: whole, streamed, in the background, continued and cancelled.
import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoReasoning, demoText } from '../../model/demo-answer.ts'
import { PlayedModel } from '../../run/test/engine-harness.ts'
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

const WEATHER: OpenAI.Responses.FunctionTool = {
  type: 'function',
  name: 'weather',
  description: null,
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: false,
}

async function all(stream: AsyncIterable<ResponseStreamEvent>): Promise<ResponseStreamEvent[]> {
  const events: ResponseStreamEvent[] = []
  for await (const event of stream) events.push(event)
  return events
}

/** Resolves with the response when it has ended. */
async function ended(id: string): Promise<OpenAI.Responses.Response> {
  await h.eventUntil(id, ({ type }) => type === 'run.ended')
  return h.client.responses.retrieve(id)
}

/** The prompt of the model as role and text. */
function turnsOf(prompt: readonly { readonly role: string; readonly content: unknown }[]): readonly unknown[] {
  return prompt.map(({ role, content }) => {
    const parts = Array.isArray(content) ? (content as { text?: string; output?: { value?: unknown } }[]) : []
    return [role, typeof content === 'string' ? content : parts.map((part) => part.text ?? part.output?.value).join('')]
  })
}

describe('a response', () => {
  it('returns the whole answer, with its usage and the fields of the request', async () => {
    const response = await h.client.responses.create({
      model: 'demo',
      input: '/demo count=12 rate=0 reasoning=3',
      instructions: 'Count.',
      temperature: 0.5,
      metadata: { who: 'me' },
    })
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      background: false,
      model: 'demo',
      instructions: 'Count.',
      temperature: 0.5,
      metadata: { who: 'me' },
      previous_response_id: null,
      error: null,
      output_text: demoText('/demo count=12'),
      output: [
        {
          type: 'reasoning',
          content: [{ type: 'reasoning_text', text: demoReasoning('/demo count=12 reasoning=3') }],
        },
        { type: 'message', role: 'assistant', status: 'completed' },
      ],
      usage: { output_tokens: 15 },
    })
    expect(await h.client.responses.retrieve(response.id)).toEqual(response)
  })

  it('streams numbered events, from which OpenAI’s client assembles the same response', async () => {
    const input = '/demo count=40 rate=400 ttft=0 reasoning=5'
    const runner = h.client.responses.stream({ model: 'demo', input })
    const events = await all(runner)
    const final = await runner.finalResponse()
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, at) => at))
    const types = events.map(({ type }) => type).filter((type, at, list) => type !== list[at - 1])
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    const texts = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''))
    expect(texts.join('')).toBe(demoText(input))
    expect(final.output_text).toBe(demoText(input))
    const [done] = events.slice(-1)
    const { output_text: _, ...retrieved } = await h.client.responses.retrieve(final.id)
    expect(done?.type === 'response.completed' && done.response).toMatchObject(retrieved)
  })

  it('has tool calls, streamed and whole, and continues with their results', async () => {
    const input = '/demo count=2 rate=0 tool=weather input={"city":"Oslo"} tool=weather input={"city":"Bern"}'
    const runner = h.client.responses.stream({ model: 'demo', input, tools: [WEATHER] })
    const asked = await runner.finalResponse()
    const calls = asked.output.flatMap((item) => (item.type === 'function_call' ? [item] : []))
    expect(calls.map((call) => call.arguments)).toEqual(['{"city":"Oslo"}', '{"city":"Bern"}'])
    expect(asked).toMatchObject({ status: 'completed', tools: [{ name: 'weather' }] })
    const given = calls.map(({ call_id }, at) => {
      return { type: 'function_call_output' as const, call_id, output: `${at} degrees` }
    })
    const text = '"0 degrees"\n"1 degrees"\n0 1'
    const answered = await h.client.responses.create({
      model: 'demo',
      previous_response_id: asked.id,
      input: given,
      tools: [WEATHER],
    })
    expect(answered.output_text).toBe(text)
    // The same for a client that sends the conversation itself.
    const output = asked.output as OpenAI.Responses.ResponseInputItem[]
    const whole = await h.client.responses.create({
      model: 'demo',
      input: [{ role: 'user', content: input }, ...output, ...given],
      tools: [WEATHER],
    })
    expect(whole.output_text).toBe(text)
  })

  it('is incomplete at the token limit, and failed if the model failed', async () => {
    const cut = await h.client.responses.create({ model: 'demo', input: '/demo count=9 rate=0', max_output_tokens: 4 })
    expect(cut).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      max_output_tokens: 4,
    })
    // A clean end says that nothing is missing; otherwise reading fails.
    const body = { model: 'demo', input: '/demo count=9 rate=0', max_output_tokens: 4, stream: true }
    const streamed = await (await h.post('/v1/responses', body)).text()
    expect(streamed.trim().split('\n\n').at(-1)).toMatch(/^event: response\.incomplete\ndata: .*"max_output_tokens"/)
    const stream = await h.client.responses.create({
      model: 'demo',
      input: '/demo count=9 rate=0 fail=3',
      stream: true,
    })
    const last = (await all(stream)).at(-1)
    expect(last).toMatchObject({ type: 'response.failed', response: { status: 'failed' } })
    if (last?.type !== 'response.failed') return
    expect(last.response.error?.message).toBeTypeOf('string')
    expect(await h.client.responses.retrieve(last.response.id)).toMatchObject({ status: 'failed' })
  })

  it('is the same for the same key, and 422 for another body', async () => {
    const options = { headers: { 'Idempotency-Key': 'responses-1' } }
    const body = { model: 'demo', input: '/demo count=4 rate=0' }
    const first = await h.client.responses.create(body, options)
    expect(await h.client.responses.create(body, options)).toEqual(first)
    const next = { ...body, previous_response_id: first.id }
    const other = { headers: { 'Idempotency-Key': 'responses-2' } }
    const second = await h.client.responses.create(next, other)
    expect(await h.client.responses.create(next, other)).toEqual(second)
    const changed = { ...next, input: '/demo count=5 rate=0' }
    const reused = { status: 422, code: 'command_id_reused' }
    expect(await failure(h.client.responses.create({ ...body, temperature: 1 }, options))).toMatchObject(reused)
    expect(await failure(h.client.responses.create(changed, other))).toMatchObject(reused)
  })

  it('is a new one for each request without a key', async () => {
    const first = await h.client.responses.create({ model: 'demo', input: '/demo count=1 rate=0' })
    const again = { model: 'demo', input: '/demo count=1 rate=0', previous_response_id: first.id }
    const [a, b] = await Promise.all([h.client.responses.create(again), h.client.responses.create(again)])
    expect(a?.id).not.toBe(b?.id)
  })
})

describe('the usage', () => {
  // openai-java 4.105 with `responseValidation(true)` requires both details.
  it('has the cached tokens that the provider reports, over both endpoints', async () => {
    const create = async <T>(request: Promise<T>, cached?: readonly [number, number]): Promise<T> => {
      const call = await model.next()
      call.text('A')
      call.finish('stop', cached)
      return request
    }
    const { client } = played
    const respond = () => client.responses.create({ model: 'played', input: 'a?' })
    const chat = () =>
      client.chat.completions.create({ model: 'played', messages: [{ role: 'user' as const, content: 'a?' }] })
    for (const cached of [[4, 2], undefined] as const) {
      const [cached_tokens, cache_write_tokens] = cached ?? [0, 0]
      const details = { cached_tokens, cache_write_tokens }
      const response = await create(respond(), cached)
      expect(response.usage).toMatchObject({ input_tokens: 7, input_tokens_details: details, total_tokens: 10 })
      const completion = await create(chat(), cached)
      expect(completion.usage).toMatchObject({ prompt_tokens: 7, prompt_tokens_details: details, total_tokens: 10 })
    }
  })
})

describe('a response that continues another', () => {
  async function respond(
    text: string,
    request: Omit<OpenAI.Responses.ResponseCreateParamsNonStreaming, 'model'>,
  ): Promise<{ readonly id: string; readonly prompt: readonly unknown[] }> {
    const pending = played.client.responses.create({ model: 'played', ...request })
    const call = await model.next()
    call.text(text)
    call.finish()
    return { id: (await pending).id, prompt: turnsOf(call.options.prompt) }
  }
  const sessionOf = (id: string): string => id.slice(id.indexOf('-') + 1)

  it('has the conversation and its system messages, but not the instructions', async () => {
    const first = await respond('A', {
      instructions: 'Only now.',
      input: [
        { role: 'developer', content: 'Always.' },
        { role: 'user', content: 'a?' },
      ],
    })
    expect(first.prompt).toEqual([
      ['system', 'Only now.\n\nAlways.'],
      ['user', 'a?'],
    ])
    const second = await respond('B', { input: 'b?', previous_response_id: first.id })
    expect(second.prompt).toEqual([
      ['system', 'Always.'],
      ['user', 'a?'],
      ['assistant', 'A'],
      ['user', 'b?'],
    ])
    expect(sessionOf(second.id)).toBe(sessionOf(first.id))
    // A second continuation of the first response does not include the first continuation.
    const branch = await respond('C', { input: 'c?', previous_response_id: first.id, instructions: 'Briefly.' })
    expect(branch.prompt).toEqual([
      ['system', 'Briefly.\n\nAlways.'],
      ['user', 'a?'],
      ['assistant', 'A'],
      ['user', 'c?'],
    ])
    expect(sessionOf(branch.id)).not.toBe(sessionOf(first.id))
    const last = await respond('D', { input: 'd?', previous_response_id: branch.id })
    expect(last.prompt.slice(1).map((turn) => (turn as string[])[1])).toEqual(['a?', 'A', 'c?', 'C', 'd?'])
    expect(await played.client.responses.retrieve(last.id)).toMatchObject({ previous_response_id: branch.id })
  })

  it('does not include others that continue it at the same moment', async () => {
    const first = await respond('A', { input: 'a?' })
    const pending = Array.from({ length: 4 }, (_, at) =>
      played.client.responses.create({ model: 'played', input: `${at}?`, previous_response_id: first.id }),
    )
    for (let at = 0; at < pending.length; at += 1) {
      const call = await model.next()
      const turns = turnsOf(call.options.prompt) as readonly (readonly string[])[]
      expect(turns.map(([, text]) => text)).toEqual(['a?', 'A', expect.stringMatching(/^\d\?$/)])
      call.text('!')
      call.finish()
    }
    const ids = (await Promise.all(pending)).map(({ id }) => id)
    expect(new Set(ids.map(sessionOf)).size).toBe(4)
    expect(ids.filter((id) => sessionOf(id) === sessionOf(first.id))).toHaveLength(1)
  })
})

describe('a background response', () => {
  it('is returned at once, in its current state', async () => {
    const created = await h.client.responses.create({
      model: 'demo',
      input: '/demo count=30 rate=100 ttft=0',
      background: true,
    })
    expect(['queued', 'in_progress']).toContain(created.status)
    expect(created).toMatchObject({ background: true, usage: null })
    const done = await ended(created.id)
    expect(done).toMatchObject({ status: 'completed', output_text: demoText('/demo count=30') })
  })

  it('can be resumed from every event with the same result', async () => {
    const input = '/demo count=25 rate=200 ttft=0 reasoning=4 tool=weather input={"city":"Oslo"}'
    const stream = await h.client.responses.create({
      model: 'demo',
      input,
      tools: [WEATHER],
      background: true,
      stream: true,
    })
    const live = await all(stream)
    const [created] = live
    const id = created?.type === 'response.created' ? created.response.id : ''
    expect(live.map((event) => event.sequence_number)).toEqual(live.map((_, at) => at))
    for (let after = -1; after < live.length; after += 1) {
      const query = after < 0 ? { stream: true as const } : { stream: true as const, starting_after: after }
      expect(await all(await h.client.responses.retrieve(id, query))).toEqual(live.slice(after + 1))
    }
  })

  it('can be read over connections that are cut after a few events', async () => {
    const input = '/demo count=60 rate=60 ttft=0'
    const stream = await h.client.responses.create({ model: 'demo', input, background: true, stream: true })
    const pieced: ResponseStreamEvent[] = []
    const take = async (events: AsyncIterable<ResponseStreamEvent>, count: number): Promise<void> => {
      for await (const event of events) {
        pieced.push(event)
        count -= 1
        // The client aborts its request when the loop ends.
        if (count === 0) return
      }
    }
    await take(stream, 1)
    const [created] = pieced
    const id = created?.type === 'response.created' ? created.response.id : ''
    for (let turn = 0; pieced.at(-1)?.type !== 'response.completed'; turn += 1) {
      const after = pieced.at(-1)?.sequence_number ?? -1
      await take(await h.client.responses.retrieve(id, { stream: true, starting_after: after }), 1 + (turn % 3))
    }
    expect(pieced).toEqual(await all(await h.client.responses.retrieve(id, { stream: true })))
    const texts = pieced.map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''))
    expect(texts.join('')).toBe(demoText(input))
  })

  it('does not change after a cancel', async () => {
    const stream = await h.client.responses.create({
      model: 'demo',
      input: '/demo count=5000 rate=50 ttft=0',
      background: true,
      stream: true,
    })
    const events: ResponseStreamEvent[] = []
    let cancelled: OpenAI.Responses.Response | undefined
    for await (const event of stream) {
      events.push(event)
      if (cancelled !== undefined || event.type !== 'response.output_text.delta') continue
      const [created] = events
      cancelled = await h.client.responses.cancel(created?.type === 'response.created' ? created.response.id : '')
    }
    expect(cancelled).toMatchObject({ status: 'cancelled', error: null, usage: null })
    expect(events.at(-1)).toMatchObject({ type: 'response.incomplete', response: { status: 'cancelled' } })
    const id = cancelled?.id ?? ''
    expect(await h.client.responses.cancel(id)).toEqual(cancelled)
    const { output_text: text, ...retrieved } = await h.client.responses.retrieve(id)
    expect(retrieved).toEqual(cancelled)
    const streamed = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('')
    expect(text).toBe(streamed)
  })

  it('continues when its client disconnects, unless it is not stored', async () => {
    const create = async (store: boolean): Promise<string> => {
      const stream = await h.client.responses.create({
        model: 'demo',
        input: '/demo count=70 rate=40 ttft=0',
        stream: true,
        store,
      })
      for await (const event of stream) if (event.type === 'response.created') return event.response.id
      return ''
    }
    const [stored, unstored] = await Promise.all([create(true), create(false)])
    await h.deleted(unstored)
    expect(await ended(stored)).toMatchObject({ status: 'completed', store: true })
  })
})

describe('a response for which a client waits', () => {
  // OpenAI's clients send no key: each time they time out and try again, they start another run.
  it('is cancelled when the client disconnects, unless the request has a key', async () => {
    const disconnect = async (headers: Record<string, string>) => {
      const controller = new AbortController()
      const options = { signal: controller.signal, headers }
      const request = played.client.responses.create({ model: 'played', input: 'a?', store: true }, options)
      const rejected = expect(request).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
      const call = await model.next()
      controller.abort()
      await rejected
      return call
    }
    const headers = { 'Idempotency-Key': 'come-back' }
    const kept = await disconnect(headers)
    const abandoned = await disconnect({})
    await abandoned.aborted
    kept.text('A')
    kept.finish()
    const again = played.client.responses.create({ model: 'played', input: 'a?', store: true }, { headers })
    expect(await again).toMatchObject({ status: 'completed', output_text: 'A' })
  })

  // Its first event waits for the run's first output, so the client has no id yet.
  it('is cancelled when the client disconnects before the first event of its stream', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const request = played.client.responses.create({ model: 'played', input: 'a?', stream: true }, { signal })
    const rejected = expect(request).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    const call = await model.next()
    controller.abort()
    await rejected
    await call.aborted
  })
})

// The node stops while the run waits for its first output. The client has no id, and repeats its request on another node.
describe.each(['/v1/responses', '/v1/chat/completions'])(
  'a stream of %s that has not begun when the node drains',
  (path) => {
    it('gets 503, and its run is cancelled', async () => {
      const model = new PlayedModel()
      const models = { defaultId: 'played', ids: ['played'], get: () => model }
      const draining = await OpenAiHarness.open({ PARLEY_DRAIN: '30' }, { models })
      const body = { model: 'played', input: 'a?', messages: [{ role: 'user', content: 'a?' }], stream: true }
      const request = draining.post(path, body)
      const call = await model.next()
      const closed = draining.close()
      call.text('A')
      const answer = await request
      expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([503, 'true'])
      expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(1)
      expect(await answer.json()).toMatchObject({ error: { type: 'server_error', code: 'going_away' } })
      // Long before the drain ends and stops the run anyway.
      const started = performance.now()
      await Promise.all([call.aborted, closed])
      expect(performance.now() - started).toBeLessThan(20_000)
    })
  },
)

describe('an error', () => {
  it('for an unknown response is a 404; for an unknown previous response, a bad request', async () => {
    for (const id of ['resp_nothing', 'resp_run_x-nowhere', 'nothing', `resp_${'x'.repeat(400)}`]) {
      // One request at a time: Vitest reports a rejection that is not awaited yet as an error.
      const notFound = { status: 404, type: 'invalid_request_error' }
      expect(await failure(h.client.responses.retrieve(id))).toMatchObject(notFound)
      expect(await failure(h.client.responses.retrieve(id, { stream: true }))).toMatchObject(notFound)
      expect(await failure(h.client.responses.cancel(id))).toMatchObject(notFound)
      const next = h.client.responses.create({ model: 'demo', input: 'hi', previous_response_id: id.slice(0, 300) })
      expect(await failure(next)).toMatchObject({ status: 400, param: 'previous_response_id' })
    }
  })

  it('of the query names the parameter', async () => {
    const { id } = await h.client.responses.create({ model: 'demo', input: '/demo count=1 rate=0' })
    const answers = await Promise.all(
      ['stream=yes', 'stream=true&starting_after=-1', 'stream=true&starting_after=x'].map(async (query) => {
        const response = await fetch(`${h.server.url}/v1/responses/${id}?${query}`)
        const { error } = (await response.json()) as { error: { param: string } }
        return [response.status, error.param]
      }),
    )
    expect(answers).toEqual([
      [400, 'stream'],
      [400, 'starting_after'],
      [400, 'starting_after'],
    ])
  })

  const good = { model: 'demo', input: 'hi' }
  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['no model', { input: 'hi' }, 'model'],
    ['no input', { model: 'demo' }, 'input'],
    ['input of a wrong type', { ...good, input: 7 }, 'input'],
    ['empty input', { ...good, input: [] }, 'input'],
    ['an unknown item', { ...good, input: [{ type: 'computer_call' }] }, 'input[0].type'],
    ['an unknown role', { ...good, input: [{ role: 'poet', content: 'hi' }] }, 'input[0].role'],
    ['an unknown part', { ...good, input: [{ role: 'user', content: [{ type: 'x' }] }] }, 'input[0].content[0].type'],
    ['instructions', { ...good, instructions: 1 }, 'instructions'],
    ['previous_response_id', { ...good, previous_response_id: 1 }, 'previous_response_id'],
    ['stream', { ...good, stream: 'yes' }, 'stream'],
    ['background', { ...good, background: 1 }, 'background'],
    ['background that is not stored', { ...good, background: true, store: false }, 'store'],
    ['store', { ...good, store: 1 }, 'store'],
    ['max_output_tokens', { ...good, max_output_tokens: 0 }, 'max_output_tokens'],
    ['temperature', { ...good, temperature: -1 }, 'temperature'],
    ['top_p', { ...good, top_p: 2 }, 'top_p'],
    ['metadata', { ...good, metadata: [] }, 'metadata'],
    ['text', { ...good, text: { format: { type: 'json_schema' } } }, 'text.format.name'],
    ['tools of OpenAI itself', { ...good, tools: [{ type: 'web_search' }] }, 'tools[0].type'],
    ['tool_choice', { ...good, tool_choice: 'maybe' }, 'tool_choice'],
    ['a choice of an unknown tool', { ...good, tool_choice: { type: 'function', name: 'x' } }, 'tool_choice'],
    ['a conversation', { ...good, conversation: 'conv 1' }, 'conversation'],
    [
      'a conversation besides a response',
      { ...good, conversation: 'c', previous_response_id: 'resp_x' },
      'conversation',
    ],
    ['a conversation that is not stored', { ...good, conversation: 'c', store: false }, 'store'],
    ['a stored prompt', { ...good, prompt: { id: 'pmpt_1' } }, 'prompt'],
  ]
  it.each(wrong)('of the request names the field: %s', async (_, body, param) => {
    const response = await h.post('/v1/responses', body)
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({
      error: { message: expect.any(String), type: 'invalid_request_error', param, code: null },
    })
  })
})
