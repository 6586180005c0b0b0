// Where long texts are cut.
import { wellFormed } from '@parley/protocol'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { finalBreaks, PART_CHARS, textParts } from './text-parts.ts'

const family = '👩‍👩‍👧'

it.each([
  ['a short text', 'x'.repeat(PART_CHARS), [PART_CHARS]],
  ['words', 'word '.repeat(1_601), [4_000, 4_005]],
  ['lines', `${'x'.repeat(2_999)}\n${'y'.repeat(2_000)}`, [3_000, 2_000]],
  ['one word', 'ש'.repeat(8_300), [4_000, 4_000, 300]],
  // 4,000 is a multiple neither of 8 and 2 together, nor of the flags' 4 after one letter.
  ['families', family.repeat(700), [4_000, 1_600]],
  ['families after a letter', `a${family.repeat(700)}`, [3_993, 1_608]],
  ['flags after a letter', `a${'🇩🇪'.repeat(1_500)}`, [3_997, 2_004]],
  ['a character that never ends', `a${'\u0301'.repeat(4_999)}`, [4_000, 1_000]],
  ['pairs of code units in a character that never ends', `a${'\u{1d165}'.repeat(3_000)}`, [3_999, 2_002]],
])('cuts %s between lines, words or characters', (_, text, lengths) => {
  const parts = textParts(text)
  expect(parts.map((part) => part.length)).toEqual(lengths)
  expect(parts.join('')).toBe(text)
})

it('keeps the cuts of a text that grows, and never cuts a code point', () => {
  const piece = fc.constantFrom('a', ' ', '\n', 'ש', 'สวัสดี', family, '\u0301', '🇩🇪', '\u{1d165}')
  const run = fc.tuple(piece, fc.integer({ min: 1, max: 3_000 })).map(([text, times]) => text.repeat(times))
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 30_000 }), (runs, cut) => {
      const text = runs.join('')
      const parts = textParts(text)
      expect(parts.join('')).toBe(text)
      expect(parts.map(wellFormed)).toEqual(parts)
      const before = textParts(text.slice(0, cut))
      expect(parts.slice(0, before.length - 1)).toEqual(before.slice(0, -1))
    }),
  )
})

it('knows the line breaks at the end', () => {
  expect(['', 'a', 'a\n', '\na\n\n', '\n'].map(finalBreaks)).toEqual(['', '', '\n', '\n\n', '\n'])
})
