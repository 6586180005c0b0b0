// The Prefer header: known preferences are parsed, all others are ignored.
import { describe, expect, it } from 'vitest'
import { parsePrefer } from './prefer.ts'

describe('parsePrefer', () => {
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
  ])('parses %s', (header, respondAsync, wait) => {
    expect(parsePrefer(header)).toEqual({ respondAsync, wait })
  })
})
