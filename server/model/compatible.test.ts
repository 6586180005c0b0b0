// Against aimock, a third-party scripted OpenAI-compatible server.
import { LLMock } from '@copilotkit/aimock'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Model } from './model.ts'
import { createModelCatalog } from './model-catalog.ts'
import { toProviderFailure } from './provider-failure.ts'
import { readAnswer, userPrompt } from './test/provider-server.ts'

const STORY = 'The log is the only source: every reader gets its entries from it, in the same order. '.repeat(3).trim()

let mock: LLMock
let model: Model

beforeAll(async () => {
  mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 8 })
  mock.onMessage('story', { content: STORY })
  mock.onMessage('paced', { content: STORY }, { streamingProfile: { ttft: 50, tps: 500, jitter: 0 } })
  mock.onMessage('weather', { toolCalls: [{ name: 'weather', arguments: '{"city":"Oslo"}' }] })
  mock.onMessage('thought', { content: 'Yes.', reasoning: 'Let me see.' })
  mock.onMessage('cut', { content: STORY }, { truncateAfterChunks: 6, latency: 5 })
  mock.onMessage('slow', { content: STORY }, { streamingProfile: { ttft: 10, tps: 5, jitter: 0 } })
  mock.onMessage('limited', { error: { message: 'slow down', type: 'rate_limit_error' }, status: 429 })
  await mock.start()
  model = createModelCatalog({ model: 'compatible:mock', compatible: { url: `${mock.url}/v1`, key: 'k' } }).get()
})

afterAll(async () => {
  await mock.stop()
})

describe('an aimock model', () => {
  it('streams its text in chunks, paced or at once', async () => {
    for (const message of ['story', 'paced']) {
      const received = await readAnswer(model, message)
      expect(received.error).toBeUndefined()
      expect(received.text).toBe(STORY)
      expect(received.parts.filter((part) => part.type === 'text-delta').length).toBeGreaterThan(10)
      expect(received.finish?.finishReason.unified).toBe('stop')
      expect(received.finish?.usage.outputTokens.total).toBeGreaterThan(0)
    }
  })

  it('calls a tool and reasons', async () => {
    const tool = { type: 'function' as const, name: 'weather', inputSchema: { type: 'object' as const } }
    const calling = await readAnswer(model, { prompt: userPrompt('weather'), tools: [tool] })
    expect(calling.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(calling.finish?.finishReason.unified).toBe('tool-calls')
    const thinking = await readAnswer(model, 'thought')
    expect([thinking.reasoning, thinking.text]).toEqual(['Let me see.', 'Yes.'])
  })

  it('fails as disconnected when it is cut in mid-answer, after the text it sent', async () => {
    const received = await readAnswer(model, 'cut')
    expect(received.text).not.toBe('')
    expect(STORY.startsWith(received.text)).toBe(true)
    expect(received.finish).toBeUndefined()
    expect(toProviderFailure(received.error)).toMatchObject({ code: 'provider_disconnected', retryable: true })
  })

  it('stops at once on abort', async () => {
    const abort = new AbortController()
    const received = await readAnswer(model, { prompt: userPrompt('slow'), abortSignal: abort.signal }, (part) => {
      if (part.type === 'text-delta') abort.abort(new Error('enough'))
    })
    expect(received.text.length).toBeLessThan(STORY.length)
    expect(received.finish).toBeUndefined()
    expect(received.error).toBeDefined()
  })

  it('is not retried by its package on a rate limit', async () => {
    const before = mock.getRequests().length
    const received = await readAnswer(model, 'limited')
    expect(toProviderFailure(received.error)).toMatchObject({ code: 'provider_rate_limited', retryable: true })
    expect(mock.getRequests().length).toBe(before + 1)
  })
})
