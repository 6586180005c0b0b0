// Structural sharing, and text as the page shows it.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { displayText } from './display-text.ts'
import { share } from './share.ts'

describe('shared values', () => {
  it('equal the new value, and are the old one if nothing changed', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (before, after) => {
        expect(share(before, structuredClone(after))).toEqual(after)
        expect(share(before, structuredClone(before))).toBe(before)
      }),
    )
  })

  it('keep equal parts', () => {
    const before = { list: [{ a: 1 }, { b: [2] }], other: { c: 3 } }
    const after = share(before, { list: [{ a: 1 }, { b: [2, 3] }], other: { c: 3 } })
    expect(after.list[0]).toBe(before.list[0])
    expect(after.other).toBe(before.other)
    expect(after).toEqual({ list: [{ a: 1 }, { b: [2, 3] }], other: { c: 3 } })
  })
})

describe('text as the page shows it', () => {
  it('has line feeds, and no endless combining marks', () => {
    expect(displayText('a\r\nb\rc\n')).toBe('a\nb\nc\n')
    expect(displayText('e\u0301 नमस्ते ก็ שָׁלוֹם')).toBe('e\u0301 नमस्ते ก็ שָׁלוֹם')
    expect(displayText(`a${'\u0301'.repeat(1_000)}`)).not.toMatch(/\p{M}{61}/u)
  })

  it('does not change its beginning while it grows', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('\u0301'.repeat(29), '\u05b0', 'a', '\r', '\n')), fc.nat(), (parts, cut) => {
        const text = parts.join('')
        expect(displayText(text).startsWith(displayText(text.slice(0, cut % (text.length + 1))))).toBe(true)
      }),
    )
  })
})
