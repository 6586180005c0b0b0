// The size of presence frames and their bytes per second are limited, whatever the number and the states of members.
import { describe, expect, it } from 'vitest'
import {
  frameIntervalMs,
  INTERVAL_MAX_MS,
  INTERVAL_MIN_MS,
  MEMBERS_MAX,
  MEMBERS_MAX_BYTES,
  type Present,
  selectMembers,
} from './presence-summary.ts'

function present(at: number, state: Record<string, unknown> = {}): Present {
  return { member: { user: `u${at}`, connection: `con_${at}`, state }, at }
}

const crowd = (count: number, state?: Record<string, unknown>) =>
  Array.from({ length: count }, (_, at) => present(at, state))

describe('selected members', () => {
  it('are typing members first, then members with a state, each most recent first', () => {
    const all = [present(1), present(2, { cursor: 3 }), present(3, { typing: true }), present(4, { device: 'phone' })]
    const order = selectMembers([...all, present(5, { typing: true })]).map(({ at }) => at)
    expect(order).toEqual([5, 3, 2, 4, 1])
  })

  it('are limited in number and bytes', () => {
    expect(selectMembers(crowd(1_000))).toHaveLength(MEMBERS_MAX)
    const full = selectMembers(crowd(1_000, { note: 'x'.repeat(1_000) }))
    expect(full.length).toBeGreaterThan(5)
    expect(Buffer.byteLength(JSON.stringify(full.map(({ member }) => member)))).toBeLessThanOrEqual(
      MEMBERS_MAX_BYTES + 2,
    )
  })
})

describe('the interval', () => {
  it('grows with the number of members, between its limits', () => {
    expect([1, 33, 500, 1_000, 5_000].map(frameIntervalMs)).toEqual([
      INTERVAL_MIN_MS,
      INTERVAL_MIN_MS,
      1_500,
      3_000,
      INTERVAL_MAX_MS,
    ])
  })

  it('limits each of 1,000 viewers to 3 kB per second', () => {
    expect((MEMBERS_MAX_BYTES / frameIntervalMs(1_000)) * 1_000).toBeLessThan(3_000)
  })
})
