// However many are there and whatever they show, a frame is small, and all frames of a session together are bounded.
import { describe, expect, it } from 'vitest'
import {
  MEMBERS_BYTES,
  MEMBERS_NAMED,
  named,
  PACE_MAX_MS,
  PACE_MIN_MS,
  type Present,
  paceMs,
} from './presence-crowd.ts'

function present(at: number, state: Record<string, unknown> = {}): Present {
  return { member: { user: `u${at}`, connection: `con_${at}`, state }, at }
}

const crowd = (count: number, state?: Record<string, unknown>) =>
  Array.from({ length: count }, (_, at) => present(at, state))

describe('who is named', () => {
  it('is who types, then who shows something else, and of each the most recent', () => {
    const all = [present(1), present(2, { cursor: 3 }), present(3, { typing: true }), present(4, { device: 'phone' })]
    const order = named([...all, present(5, { typing: true })]).map(({ at }) => at)
    expect(order).toEqual([5, 3, 2, 4, 1])
  })

  it('is as many of a crowd as a frame has room for', () => {
    expect(named(crowd(1_000))).toHaveLength(MEMBERS_NAMED)
    const full = named(crowd(1_000, { note: 'x'.repeat(1_000) }))
    expect(full.length).toBeGreaterThan(5)
    expect(Buffer.byteLength(JSON.stringify(full.map(({ member }) => member)))).toBeLessThanOrEqual(MEMBERS_BYTES + 2)
  })
})

describe('the pace', () => {
  it('falls with the crowd, between its bounds', () => {
    expect([1, 33, 500, 1_000, 5_000].map(paceMs)).toEqual([PACE_MIN_MS, PACE_MIN_MS, 1_500, 3_000, PACE_MAX_MS])
  })

  it('bounds what 1,000 viewers get: under 3 kB a second each', () => {
    expect((MEMBERS_BYTES / paceMs(1_000)) * 1_000).toBeLessThan(3_000)
  })
})
