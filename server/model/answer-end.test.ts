// The end of an answer comes from the provider's protocol: servers that keep the connection open after it do not fail the answer.
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { failureOf, modelAt, provide } from './test/model-at.ts'
import { beginSse, chatChunk, type ProviderServer, readAnswer, sendSse, userPrompt } from './test/provider-server.ts'

/** Sends the events and leaves the connection open. */
function hanging(events: readonly unknown[]): Promise<ProviderServer> {
  return provide(({ response }) => {
    beginSse(response)
    sendSse(response, events)
  })
}

const USAGE = { prompt_tokens: 11, completion_tokens: 2, total_tokens: 13 }

describe('an answer whose server keeps the connection open', () => {
  // Seen with servers behind keep-alive proxies: the whole answer failed as provider_timeout after 30 s.
  it('ends at [DONE], with its usage, and closes the request', async () => {
    const server = await hanging([
      chatChunk({ content: 'Hi' }, 'stop'),
      { id: 'c1', choices: [], usage: USAGE },
      '[DONE]',
      chatChunk({ content: 'too late' }),
    ])
    const received = await readAnswer(modelAt(server.url), 'hello')
    expect([received.text, received.error]).toEqual(['Hi', undefined])
    expect(received.finish).toMatchObject({ finishReason: { unified: 'stop' }, usage: { inputTokens: { total: 11 } } })
    await server.requests[0]?.closed
  })

  it('ends after the finish reason if no [DONE] follows, with usage that comes after it', async () => {
    const server = await hanging([chatChunk({ content: 'Hi' }, 'stop'), { id: 'c1', choices: [], usage: USAGE }])
    const received = await readAnswer(modelAt(server.url), 'hello')
    expect(received.text).toBe('Hi')
    expect(received.finish?.usage.inputTokens.total).toBe(11)
    await server.requests[0]?.closed
  })

  it('is whole if the connection breaks after the finish reason', async () => {
    const server = await provide(async ({ response }) => {
      beginSse(response)
      response.write(`data: ${JSON.stringify(chatChunk({ content: 'Hi' }, 'stop'))}\n\n`)
      await new Promise((resolve) => setImmediate(resolve))
      response.destroy()
    })
    const received = await readAnswer(modelAt(server.url), 'hello')
    expect([received.text, received.finish?.finishReason.unified]).toEqual(['Hi', 'stop'])
  })

  it('is cut if [DONE] comes without a finish reason, keeps its text, and says so', async () => {
    // llama-cpp-python ends an answer exactly so when another request interrupts it.
    const server = await hanging([chatChunk({ content: 'Hel' }), '[DONE]'])
    const received = await readAnswer(modelAt(server.url), 'hello')
    expect([received.text, received.finish]).toEqual(['Hel', undefined])
    expect(await failureOf(received)).toMatchObject({
      code: 'provider_disconnected',
      message: 'The model provider ended the answer without a finish reason, so it may be incomplete.',
    })
  })

  it('ends at the last event of OpenAI’s Responses API', async () => {
    const item = { type: 'message', id: 'm' }
    const usage = { input_tokens: 5, output_tokens: 1 }
    const server = await hanging([
      { type: 'response.created', response: { id: 'r', created_at: 1, model: 'm' } },
      { type: 'response.output_item.added', output_index: 0, item },
      { type: 'response.output_text.delta', item_id: 'm', delta: '"response.completed"' },
      { type: 'response.output_item.done', output_index: 0, item },
      { type: 'response.completed', response: { usage } },
    ])
    const received = await readAnswer(modelAt(server.url, 'openai'), 'hello')
    expect([received.text, received.finish?.finishReason.unified]).toEqual(['"response.completed"', 'stop'])
    await server.requests[0]?.closed
  })

  it('ends after Google’s finish reason', async () => {
    const server = await hanging([
      { candidates: [{ content: { parts: [{ text: 'Hi' }] } }] },
      {
        candidates: [{ content: { parts: [{ text: '!' }] }, finishReason: 'STOP' }],
        usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 },
      },
    ])
    const received = await readAnswer(modelAt(server.url, 'google'), 'hello')
    expect([received.text, received.finish?.finishReason.unified]).toEqual(['Hi!', 'stop'])
    await server.requests[0]?.closed
  })

  it('ends at Anthropic’s message_stop', async () => {
    const message = {
      id: 'm',
      model: 'm',
      role: 'assistant',
      content: [],
      usage: { input_tokens: 3, output_tokens: 0 },
    }
    const server = await hanging([
      { type: 'message_start', message },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } },
      { type: 'message_stop' },
    ])
    const received = await readAnswer(modelAt(server.url, 'anthropic'), 'hello')
    expect([received.text, received.finish?.finishReason.unified]).toEqual(['Hi', 'stop'])
    await server.requests[0]?.closed
  })

  it('reads the same from any split of its bytes, with any line end', async () => {
    for (const eol of ['\n', '\r\n', '\r']) {
      const events = [chatChunk({ content: 'Grüße 😀' }), chatChunk({}, 'stop')].map((event) => JSON.stringify(event))
      const body = Buffer.from([...events, '[DONE]'].map((data) => `: x${eol}data: ${data}${eol}${eol}`).join(''))
      const server = await provide(async ({ response }) => {
        beginSse(response)
        for (const byte of body) {
          if (!response.write(Buffer.of(byte))) await once(response, 'drain')
          await new Promise((resolve) => setImmediate(resolve))
        }
        response.end()
      })
      const received = await readAnswer(modelAt(server.url), { prompt: userPrompt('hello') })
      expect([received.text, received.finish?.finishReason.unified], JSON.stringify(eol)).toEqual(['Grüße 😀', 'stop'])
    }
  })
})
