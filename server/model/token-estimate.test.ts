// The estimate of a prompt's tokens, against the counts of a real tokenizer.
import type { LanguageModelV3Message } from '@ai-sdk/provider'
import { expect, it } from 'vitest'
import { estimateTokens } from './token-estimate.ts'

const user = (text: string): LanguageModelV3Message => ({ role: 'user', content: [{ type: 'text', text }] })

// Counted with gpt-tokenizer 4.0, o200k_base. Chinese has a token for each character, not one for four.
it.each([
  ['The server retries the request if the model provider is temporarily unavailable, and tells the user. ', 18],
  ['function add(a: number, b: number): number {\n  return a + b\n}\n', 19],
  ['{"id":"run_01J9ZQ","status":"completed","usage":{"inputTokens":1284,"outputTokens":97}}', 28],
  ['Die Größe der Übersicht hängt davon ab, wie viele Einträge für jede Sitzung gespeichert werden müssen. ', 19],
  ['服务器会在模型提供方暂时不可用时重试请求，并立即通知用户。会话将继续进行，最旧的轮次会被完整省略。', 36],
])('is close to the count of %j', (text, tokens) => {
  const estimate = estimateTokens([user(text.repeat(50))]) / 50
  expect(estimate).toBeGreaterThan(tokens * 0.8)
  expect(estimate).toBeLessThan(tokens * 1.6)
})

it('counts calls, results, images and documents', () => {
  const call = { type: 'tool-call' as const, toolCallId: 'c', toolName: 'f', input: { text: 'word '.repeat(100) } }
  expect(estimateTokens([{ role: 'assistant', content: [call] }])).toBeGreaterThan(90)
  const output = { type: 'text' as const, value: 'word '.repeat(100) }
  expect(estimateTokens([{ role: 'tool', content: [{ ...call, type: 'tool-result', output }] }])).toBeGreaterThan(90)
  const file = (mediaType: string, size: number): LanguageModelV3Message => ({
    role: 'user',
    content: [{ type: 'file', mediaType, data: 'x'.repeat(size) }],
  })
  expect(estimateTokens([file('image/png', 400_000)])).toBeLessThan(2_000)
  expect(estimateTokens([file('application/pdf', 400_000)])).toBeGreaterThan(5_000)
})
