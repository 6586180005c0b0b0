// Errors in OpenAI's format, outside the requests that a route refuses by its schema.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { failure, OpenAiHarness } from './test/openai-harness.ts'
import { unknownOpenAiPath } from './unknown-path.ts'

let h: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open()
})
afterAll(() => h.close())

describe('an array that is too long', () => {
  // A history may not take more of the server's time than its size explains.
  const texts = Array.from({ length: 1_025 }, () => ({ type: 'text', text: 'a' }))
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '' } }
  const calls = Array.from({ length: 129 }, () => call)
  const chat = (message: object): object => ({ messages: [{ role: 'user', content: 'hi' }, message] })
  it.each([
    ['/v1/chat/completions', chat({ role: 'assistant', tool_calls: calls })],
    ['/v1/chat/completions', chat({ role: 'assistant', content: texts })],
    ['/v1/chat/completions', chat({ role: 'system', content: texts })],
    ['/v1/chat/completions', chat({ role: 'tool', tool_call_id: 'a', content: texts })],
    ['/v1/chat/completions', { ...chat({ role: 'user', content: 'hi' }), modalities: new Array(17).fill('text') }],
    ['/v1/responses', { input: 'hi', include: new Array(65).fill('reasoning.encrypted_content') }],
    [
      '/v1/responses',
      { input: 'hi', tools: [{ type: 'function', name: 'f', allowed_callers: new Array(17).fill('direct') }] },
    ],
  ])('is refused: %s %#', async (path, body) => {
    const answer = await h.post(path, { model: 'demo', ...body })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
  })
})

describe('an unknown path', () => {
  // With a problem document, Python's client shows no words, go-openai 1.43 "%!s(<nil>)", and async-openai 0.43 reports
  // a missing field of its own.
  it('of the API of OpenAI gets an error that its clients can read', async () => {
    const { client } = h
    const requests = [
      () => client.embeddings.create({ model: 'demo', input: 'hi' }),
      () => client.moderations.create({ input: 'hi' }),
      () => client.files.list(),
      () => client.responses.compact({ model: 'demo', input: 'hi' } as never),
      () => client.conversations.create({}),
      () => client.chat.completions.retrieve('chatcmpl-1'),
    ]
    for (const request of requests) {
      const error = await failure(request())
      expect(error).toMatchObject({ type: 'invalid_request_error', param: null })
      expect([404, 405]).toContain(error.status)
      expect(error.message).toMatch(/^40[45] (This server does not offer|This address does not support)/)
    }
  })

  it.each(['/v1', '/v1/', '/v1/none', '/v1/v1/chat/completions', '/v1/sessionsx', '/v1/chat'])(
    'has OpenAI’s format: %s',
    async (path) => {
      for (const method of ['GET', 'POST', 'DELETE']) {
        const response = await fetch(h.server.url + path, { method })
        expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/json'])
        const message = expect.stringContaining('/v1/chat/completions')
        expect(await response.json()).toEqual({
          error: { message, type: 'invalid_request_error', param: null, code: 'not_found' },
        })
      }
    },
  )

  it.each(['/none', '/v1/sessions/s/none', '/v1/me/none', '/v1/hello/none', '/v1/ws/none'])(
    'is a problem document outside that API: %s',
    async (path) => {
      const response = await fetch(h.server.url + path)
      expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
      expect(await response.json()).toMatchObject({ code: 'not_found', status: 404 })
    },
  )

  it('tells OpenAI’s clients not to repeat the request', async () => {
    const response = await fetch(`${h.server.url}/v1/none`, { method: 'POST' })
    expect(response.headers.get('x-should-retry')).toBe('false')
  })

  it('has no body for HEAD', async () => {
    const response = await fetch(`${h.server.url}/v1/none`, { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([404, ''])
  })

  it('below a path of Parley’s own is a problem document for every such path', async () => {
    const { paths } = (await (await fetch(`${h.server.url}/openapi.json`)).json()) as { paths: object }
    const served = Object.keys(paths).filter((path) => path.startsWith('/v1/'))
    const isOpenAi = (path: string) => /^\/v1\/(chat|completions|responses|models)/.test(path)
    expect(served.filter((path) => unknownOpenAiPath(path) !== undefined)).toEqual(served.filter(isOpenAi))
  })
})

describe('every error', () => {
  // Without the header, OpenAI's clients repeat 408, 409, 429 and 5xx, whatever the reason.
  it('says whether the same request may succeed', async () => {
    const good = { model: 'demo', messages: [{ role: 'user', content: 'hi' }] }
    const answers = [
      await h.post('/v1/chat/completions', '{'),
      await h.post('/v1/chat/completions', { ...good, temperature: 9 }),
      await h.post('/v1/chat/completions', { ...good, model: 'none' }),
      await h.post('/v1/chat/completions', good, { 'Idempotency-Key': 'two words' }),
      await h.post('/v1/responses', { model: 'demo', input: 'x', previous_response_id: 'resp_none' }),
      await fetch(`${h.server.url}/v1/responses/resp_none`),
      await fetch(`${h.server.url}/v1/models/none`),
      await fetch(`${h.server.url}/v1/chat/completions`),
    ]
    for (const answer of answers) {
      expect([answer.status < 500, answer.headers.get('x-should-retry')], answer.url).toEqual([true, 'false'])
    }
  })

  it('that passes says so', async () => {
    const own = await OpenAiHarness.open({ PARLEY_REQUEST_RATE: '1', PARLEY_REQUEST_BURST: '1' })
    try {
      const answers = await Promise.all(Array.from({ length: 30 }, () => fetch(`${own.server.url}/v1/models`)))
      const limited = answers.find(({ status }) => status === 429)
      expect(limited?.headers.get('x-should-retry')).toBe('true')
    } finally {
      await own.close()
    }
  })
})
