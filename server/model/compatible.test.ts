// Against aimock, a scripted OpenAI-compatible server that is not of our making.
import { LLMock } from '@copilotkit/aimock'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Model } from './model.ts'
import { createModelCatalog } from './model-catalog.ts'
import { toProviderFailure } from './provider-failure.ts'
import { listen, userPrompt } from './test/provider-server.ts'

const STORY = 'Once upon a time there was a log, and everything that anyone saw was read from it. '.repeat(3).trim()

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

describe('a model of aimock', () => {
  it('streams its text in pieces, at its own pace or at once', async () => {
    for (const message of ['story', 'paced']) {
      const heard = await listen(model, message)
      expect(heard.error).toBeUndefined()
      expect(heard.text).toBe(STORY)
      expect(heard.parts.filter((part) => part.type === 'text-delta').length).toBeGreaterThan(10)
      expect(heard.finish?.finishReason.unified).toBe('stop')
      expect(heard.finish?.usage.outputTokens.total).toBeGreaterThan(0)
    }
  })

  it('calls a tool, and reasons', async () => {
    const tool = { type: 'function' as const, name: 'weather', inputSchema: { type: 'object' as const } }
    const calling = await listen(model, { prompt: userPrompt('weather'), tools: [tool] })
    expect(calling.calls).toEqual([{ name: 'weather', input: { city: 'Oslo' } }])
    expect(calling.finish?.finishReason.unified).toBe('tool-calls')
    const thinking = await listen(model, 'thought')
    expect([thinking.reasoning, thinking.text]).toEqual(['Let me see.', 'Yes.'])
  })

  it('is disconnected when it is cut off in the middle, after what it said', async () => {
    const heard = await listen(model, 'cut')
    expect(heard.text).not.toBe('')
    expect(STORY.startsWith(heard.text)).toBe(true)
    expect(heard.finish).toBeUndefined()
    expect(toProviderFailure(heard.error)).toMatchObject({ code: 'provider_disconnected', retryable: true })
  })

  it('stops at once when it is aborted', async () => {
    const abort = new AbortController()
    const heard = await listen(model, { prompt: userPrompt('slow'), abortSignal: abort.signal }, (part) => {
      if (part.type === 'text-delta') abort.abort(new Error('enough'))
    })
    expect(heard.text.length).toBeLessThan(STORY.length)
    expect(heard.finish).toBeUndefined()
    expect(heard.error).toBeDefined()
  })

  it('is not asked again by its package when it limits the rate', async () => {
    const before = mock.getRequests().length
    const heard = await listen(model, 'limited')
    expect(toProviderFailure(heard.error)).toMatchObject({ code: 'provider_rate_limited', retryable: true })
    expect(mock.getRequests().length).toBe(before + 1)
  })
})
