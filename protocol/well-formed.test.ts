// Half characters are replaced, and text is cut between characters.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cutText, wellFormed } from './well-formed.ts'

it('replaces lone surrogates in strings, keys and nested values, and keeps everything else', () => {
  expect(wellFormed('a\ud83d')).toBe('a\ufffd')
  expect(wellFormed({ 'k\udc00': ['😀', { deep: '\ud800x' }], n: 1, none: null })).toEqual({
    'k\ufffd': ['😀', { deep: '\ufffdx' }],
    n: 1,
    none: null,
  })
  const value = { text: 'Grüße 😀', list: [1, null] }
  expect(wellFormed(value)).toBe(value)
  expect(wellFormed(undefined)).toBeUndefined()
})

it('cuts between characters as people see them', () => {
  expect(cutText('abc', 3)).toBe('abc')
  expect(cutText('abcd', 3)).toBe('abc')
  expect(cutText('ab😀', 3)).toBe('ab')
  expect(cutText('ab👩‍👩‍👧‍👦!', 6)).toBe('ab')
  expect(cutText('ae\u0301!', 2)).toBe('a')
  expect(cutText('🇩🇪🇫🇷', 6)).toBe('🇩🇪')
  // One character is longer than the limit.
  expect(cutText('👩‍👩‍👧‍👦', 4)).toBe('👩‍')
  expect(cutText('😀', 1)).toBe('')
  expect(cutText('a', 0)).toBe('')
})

it('never makes a half character, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, max) => {
      const cut = cutText(text, max)
      expect(cut.length).toBeLessThanOrEqual(max)
      expect(text.startsWith(cut)).toBe(true)
      expect(wellFormed(cut)).toBe(cut)
    }),
  )
})
