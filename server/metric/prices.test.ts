// Prices: only models in the table have a price.
import { expect, it } from 'vitest'
import { costOf, PriceTable } from './prices.ts'

const table = PriceTable.parse({
  models: { 'openai:gpt-5': { input: 1.25, output: 10 }, 'openai:*': { input: 100, output: 200 } },
})

it('charges input and output per million tokens', () => {
  expect(costOf(table, 'openai:gpt-5', { inputTokens: 2_000_000, outputTokens: 100_000 })).toBe(3.5)
})

it('falls back to the price of the provider, and has no price for other models', () => {
  const usage = { inputTokens: 10_000, outputTokens: 0 }
  expect(costOf(table, 'openai:other', usage)).toBe(1)
  expect(costOf(table, 'demo', usage)).toBeUndefined()
  expect(costOf(table, 'constructor', usage)).toBeUndefined()
})

it.each([
  [{ models: { demo: { input: -1, output: 0 } } }],
  [{ models: { demo: { input: 1 } } }],
  [{ models: {}, more: 1 }],
  [{ currency: 'US $', models: {} }],
  [[]],
])('refuses %j', (malformed) => {
  expect(PriceTable.safeParse(malformed).success).toBe(false)
})
