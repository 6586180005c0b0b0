// Prefer: what is understood of it; the rest is passed over.
import { describe, expect, it } from 'vitest'
import { parsePrefer } from './prefer.ts'

describe('preferences', () => {
  it.each([
    [undefined, false, undefined],
    ['respond-async', true, undefined],
    ['wait=10', false, 10],
    ['Respond-Async, WAIT = "5"', true, 5],
    ['wait=10, wait=20', false, 10],
    ['respond-async; foo=bar, wait=0', true, 0],
    ['wait=long', false, undefined],
    ['wait=-1', false, undefined],
    ['return=minimal, handling=lenient', false, undefined],
  ])('of %s', (header, respondAsync, wait) => {
    expect(parsePrefer(header)).toEqual({ respondAsync, wait })
  })
})
