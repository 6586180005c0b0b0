// Texts that are too slow for a text box, and the paragraphs that stay in it.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isSlowToLayOut, joined, split } from './long-texts.ts'

const SIZE = 64_000
const filled = (piece: string, size = SIZE): string => piece.repeat(Math.ceil(size / piece.length))

it.each([
  ['English', filled('some words ')],
  ['one long word', filled('x')],
  ['a program', filled('some words of a line that is about as long as the lines of a program\n')],
  ['Russian', filled('Привет, как дела? ')],
  ['English with some emoji', filled(`${'word '.repeat(50)}😀`)],
  ['English with one Hebrew letter', `ש${filled('a1 ')}`],
  ['half as much Hebrew', filled(`${'שלום לכם היום '.repeat(6)}\n`, SIZE / 2)],
  ['half as much Chinese', filled(`${'漢字、仮名交じり文。'.repeat(20)}\n`, SIZE / 2)],
  ['half as much Hindi', filled(`${'नमस्ते आप कैसे हैं '.repeat(20)}\n`, SIZE / 2)],
  ['half as much Thai', filled(`${'สวัสดีครับผมชื่อสมชาย '.repeat(10)}\n`, SIZE / 2)],
  ['some letters of two directions', filled('aש', 4_000)],
  ['one Thai word', filled('สวัสดี', 2_000)],
  ['some line breaks', filled('\n', 1_500)],
  ['some combining marks', `a${filled('\u0301', 2_000)}`],
  ['a row of emoji', filled('😀', 2_000)],
])('%s stays in the box', (_, text) => {
  expect(isSlowToLayOut(text)).toBe(false)
  expect(split(text)).toEqual({ text, long: [] })
})

it.each([
  ['letters of two directions', filled('aש')],
  ['words of two directions', filled('aש aש ')],
  ['letters and digits of two directions', filled('ש1')],
  ['characters that set the direction', filled('a\u202e')],
  ['one line of Hindi', filled('नमस्ते आप कैसे हैं ')],
  ['one word of Hindi', filled('नमस्ते')],
  ['one word of Thai', filled('สวัสดี')],
  ['words of Thai without spaces', filled(`${'สวัสดี'.repeat(200)}\n`)],
  ['letters of many scripts', filled('aнहག漢한ა')],
  ['line breaks', filled('a\n')],
  ['short lines', filled('a line\n')],
  ['tabs', filled('\t')],
  ['emoji', filled('😀')],
  ['combining marks', `a${filled('\u0301')}`],
])('64 kB of %s are too slow for the box', (_, text) => {
  expect(isSlowToLayOut(text)).toBe(true)
  expect(split(text)).toEqual({ text: '', long: [text] })
})

it('keeps the first paragraphs in the box', () => {
  const slow = filled('aש')
  expect(split(`Translate this.\n\nAll of it:\n\n${slow}\n\nThank you.`)).toEqual({
    text: 'Translate this.\n\nAll of it:',
    long: [`${slow}\n\nThank you.`],
  })
})

it('joins what it has split', () => {
  const piece = fc.constantFrom('a', ' ', '\n', '\n\n', 'ש', 'สวัสดี', '😀', '\u0301')
  const run = fc.tuple(piece, fc.integer({ min: 1, max: 20_000 })).map(([text, times]) => text.repeat(times))
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 5 }), (runs) => {
      // Line breaks before the first letter are lost.
      const text = `b${runs.join('')}`
      expect(joined(split(text))).toBe(text)
    }),
    { numRuns: 50 },
  )
})

it('sends only the long texts if the box is blank', () => {
  expect(joined({ text: ' \n', long: ['a', 'b'] })).toBe('a\n\nb')
  expect(joined({ text: ' \n', long: [] })).toBe(' \n')
  expect(joined({ text: 'c', long: ['a', 'b'] })).toBe('c\n\na\n\nb')
})
