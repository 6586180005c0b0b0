// RequestRate: one bucket per client, for a limited number of clients.
import { describe, expect, it } from 'vitest'
import { RequestRate } from './request-rate.ts'

describe('a rate', () => {
  it('is separate for each client, and recovers with time', () => {
    const rate = new RequestRate({ perSecond: 1, burst: 2 })
    const judged = (client: string, now: number) => rate.judge(client, now).kind
    expect([judged('a', 0), judged('a', 0), judged('a', 0)]).toEqual(['take', 'take', 'refuse'])
    expect(judged('b', 0)).toBe('take')
    expect(judged('a', 1_500)).toBe('take')
  })

  it('forgets the client that was silent for the longest', () => {
    const rate = new RequestRate({ perSecond: 0.001, burst: 1 })
    for (const client of ['first', 'busy']) rate.judge(client, 0)
    for (let other = 0; other < 9_999; other += 1) rate.judge(`client ${other}`, 1)
    // The last client replaced the first one. This request keeps the busy client from being next.
    expect(rate.judge('busy', 2).kind).toBe('refuse')
    rate.judge('one more', 3)
    expect(rate.judge('busy', 4).kind).toBe('refuse')
    expect(rate.judge('first', 5).kind).toBe('take')
  })
})
