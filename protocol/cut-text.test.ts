// Text is cut between characters.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cutText } from './cut-text.ts'
import { wellFormed } from './well-formed.ts'

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
