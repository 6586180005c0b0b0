// RequestRate: a bucket for each asker, and an end to how many are remembered.
import { describe, expect, it } from 'vitest'
import { RequestRate } from './request-rate.ts'

describe('a rate', () => {
  it('is each asker’s own, and comes back with time', () => {
    const rate = new RequestRate({ perSecond: 1, burst: 2 })
    const judged = (asker: string, now: number) => rate.judge(asker, now).kind
    expect([judged('a', 0), judged('a', 0), judged('a', 0)]).toEqual(['take', 'take', 'refuse'])
    expect(judged('b', 0)).toBe('take')
    expect(judged('a', 1_500)).toBe('take')
  })

  it('forgets who was silent for the longest', () => {
    const rate = new RequestRate({ perSecond: 0.001, burst: 1 })
    for (const asker of ['first', 'busy']) rate.judge(asker, 0)
    for (let other = 0; other < 9_999; other += 1) rate.judge(`asker ${other}`, 1)
    // The first made room for the last; the busy one would have been next, but for this.
    expect(rate.judge('busy', 2).kind).toBe('refuse')
    rate.judge('one more', 3)
    expect(rate.judge('busy', 4).kind).toBe('refuse')
    expect(rate.judge('first', 5).kind).toBe('take')
  })
})
