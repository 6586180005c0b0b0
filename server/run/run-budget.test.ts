// The tokens that a driver has used, by the provider's figures and by received deltas.
import type { LanguageModelV3Prompt } from '@ai-sdk/provider'
import { expect, it } from 'vitest'
import { RunUse } from './run-budget.ts'

const prompt: LanguageModelV3Prompt = [
  { role: 'system', content: 'x'.repeat(20) },
  { role: 'user', content: [{ type: 'text', text: 'x'.repeat(20) }] },
]

it('counts deltas during a call, and the provider’s figures at its end', () => {
  const use = new RunUse()
  expect(use.begins(prompt, 0)).toBe(16)
  expect(use.used(4)).toBe(4)
  use.finished({ inputTokens: 12, outputTokens: 9 }, 5)
  expect(use.used(5)).toBe(21)
  use.begins(prompt, 5)
  expect(use.used(7)).toBe(23)
})

it('counts the input of an interrupted call, and nothing for a call without output', () => {
  const use = new RunUse()
  use.begins(prompt, 0)
  use.broke(3)
  expect(use.used(3)).toBe(19)
  use.begins(prompt, 3)
  use.broke(3)
  expect(use.used(3)).toBe(19)
})

it('never decreases, whatever providers report', () => {
  const use = new RunUse()
  use.begins(prompt, 0)
  use.finished({ inputTokens: 0, outputTokens: 0 }, 50)
  expect(use.used(50)).toBe(66)
})
