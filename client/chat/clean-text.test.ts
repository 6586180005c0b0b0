// Tests that text from a model reaches a terminal without escape sequences.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CleanText, cleanText } from './clean-text.ts'

describe('clean text', () => {
  it.each([
    ['colours', 'a\u001b[31mred\u001b[0m b', 'ared b'],
    ['a cleared screen', '\u001b[2J\u001b[Hgone', 'gone'],
    ['a window title', '\u001b]0;owned\u0007rest', 'rest'],
    ['a link', '\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['an eight-bit sequence', 'a\u009b1mb', 'ab'],
    ['a device control string', '\u001bP1$r\u001b\\x', 'x'],
    ['a charset switch', '\u001b(0x', 'x'],
    ['bells, returns and backspaces', 'a\u0007\r\bb', 'ab'],
    ['direction overrides', 'user\u202ecod.exe', 'usercod.exe'],
  ])('removes %s', (_, dirty, clean) => {
    expect(cleanText(dirty)).toBe(clean)
  })

  it('keeps plain text, new lines, tabs and all languages', () => {
    const text = 'naïve\n\t日本語 🎉 👨‍👩‍👧 e\u0301'
    expect(cleanText(text)).toBe(text)
  })

  it('removes the same, however the text is split', () => {
    const piece = fc.oneof(
      fc.constantFrom('\u001b', '[', '3', '1m', ']', '0;t', '\u0007', '\\', 'P', '\n', '\u009b', 'ab'),
      fc.string({ maxLength: 3, unit: 'grapheme' }),
    )
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const cleaner = new CleanText()
        expect(pieces.map((one) => cleaner.push(one)).join('')).toBe(cleanText(pieces.join('')))
      }),
    )
  })

  it('never returns an escape character', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('\u001b', '[', ']', 'm', ';', '\u0007', '\u009d', 'x') }),
        (text) => {
          // biome-ignore lint/suspicious/noControlCharactersInRegex: this test is about control characters
          expect(cleanText(text)).not.toMatch(/[\u001b\u0080-\u009f\u0007]/)
        },
      ),
    )
  })

  it('returns the text after a sequence that never ends', () => {
    expect(cleanText(`\u001b]${'x'.repeat(300)}the end`)).toMatch(/the end$/)
  })
})
