// Ids: valid and invalid texts; new ids are unique and sort by creation time.
import { describe, expect, it } from 'vitest'
import { Id, makeId, timeOfId } from './id.ts'

describe('an id', () => {
  it.each(['a', 'A-Z_09', 'x'.repeat(128)])('may be %s', (text) => {
    expect(Id.safeParse(text).success).toBe(true)
  })

  it.each(['', ' ', 'a b', 'a.b', 'a/b', 'a\n', 'é', 'x'.repeat(129), 'x'.repeat(10_000)])('is not %j', (text) => {
    expect(Id.safeParse(text).success).toBe(false)
  })
})

describe('makeId', () => {
  it('makes valid ids', () => {
    expect(makeId('run')).toMatch(/^run_[0-9a-hjkmnp-tv-z]{25}$/)
    expect(Id.safeParse(makeId('run')).success).toBe(true)
  })

  it('makes 100,000 unique ids that sort in creation order', () => {
    const ids = Array.from({ length: 100_000 }, () => makeId('run'))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.toSorted()).toEqual(ids)
  })

  it('sorts by time, whatever the width of the number', () => {
    const later = Date.now() + 3_600_000
    const ids = [0, 1, 31, 32, 1_000_000, 10 ** 10].map((ms) => makeId('run', later + ms))
    expect(ids.toSorted()).toEqual(ids)
  })

  it('keeps the order if the clock is set back', () => {
    const far = Date.now() + 10 ** 12
    const first = makeId('run', far)
    expect(makeId('run', far - 5_000) > first).toBe(true)
  })
})

describe('timeOfId', () => {
  it('returns the creation time of an id', () => {
    const now = Date.now() + 10 ** 13
    expect(timeOfId(makeId('run', now))).toBe(now)
  })

  it.each(['', 'run', 'run_1', 'steer_m-1', 'run_0123456789', `run_${'u'.repeat(25)}`])('is undefined for %j', (id) => {
    expect(timeOfId(id)).toBeUndefined()
  })
})
