// Budget windows, and the text form of budgets.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseBudget, windowOf } from './budget.ts'

const DAY = 86_400_000

describe('a window', () => {
  it('begins where the previous one ends, at any time', () => {
    const length = fc.integer({ min: 1_000, max: 31 * DAY })
    fc.assert(
      fc.property(length, fc.integer({ min: 0, max: 4e12 }), (windowMs, now) => {
        const { index, endsAt } = windowOf(windowMs, now)
        expect(now).toBeLessThan(endsAt)
        expect(endsAt - now).toBeLessThanOrEqual(windowMs)
        expect(windowOf(windowMs, endsAt - 1).index).toBe(index)
        expect(windowOf(windowMs, endsAt).index).toBe(index + 1)
      }),
    )
  })

  it('of one day ends at midnight in UTC', () => {
    const { endsAt } = windowOf(DAY, Date.UTC(2026, 1, 28, 13, 5))
    expect(new Date(endsAt).toISOString()).toBe('2026-03-01T00:00:00.000Z')
  })
})

describe('the text of a budget', () => {
  it('is a number of tokens per time', () => {
    expect(parseBudget('1000000/1d')).toEqual({ tokens: 1_000_000, windowMs: DAY })
    expect(parseBudget('5/90s')).toEqual({ tokens: 5, windowMs: 90_000 })
    expect(parseBudget('0/31d')).toEqual({ tokens: 0, windowMs: 31 * DAY })
  })

  it.each(['', '5', '5/d', '-5/1d', '5/32d', '5/0s', '5/1w', '5/1d ', '1e3/1d', '5.5/1d'])('is not %j', (text) => {
    expect(parseBudget(text)).toBeUndefined()
  })
})
