// The announcements of a streaming answer, and Markdown as spoken words.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextAnnouncement, spokenText } from './spoken-text.ts'

const LONG = 'This is a sentence of some length, which somebody may read. '

describe('the announcements of a streaming answer', () => {
  it('wait for enough complete sentences', () => {
    expect(nextAnnouncement(LONG, 0, false)).toEqual({ text: '', spoken: 0 })
    const text = `${LONG}${LONG}${LONG}And so`
    const expected = { text: `${LONG}${LONG}${LONG}`.trim(), spoken: 3 * LONG.length - 1 }
    expect(nextAnnouncement(text, 0, false)).toEqual(expected)
  })

  it('contain the rest when the answer ends', () => {
    expect(nextAnnouncement('Yes', 0, true)).toEqual({ text: 'Yes', spoken: 3 })
    expect(nextAnnouncement('Yes', 3, true)).toEqual({ text: '', spoken: 3 })
  })

  it('do not end at the point of a decimal number', () => {
    const text = `${'x'.repeat(130)} 3.14`
    expect(nextAnnouncement(text, 0, false).text).toBe('')
  })

  it('contain every word once, however the text grows', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('word ', 'end. ', '\n', 'a longer stretch without an end ')), (pieces) => {
        let text = ''
        let spoken = 0
        const announced: string[] = []
        const step = (ended: boolean): void => {
          const announcement = nextAnnouncement(text, spoken, ended)
          spoken = announcement.spoken
          announced.push(announcement.text)
        }
        for (const piece of pieces) {
          text += piece
          step(false)
        }
        step(true)
        const words = (all: string): string[] => all.split(/\s+/).filter((word) => word !== '')
        expect(words(announced.join(' '))).toEqual(words(text))
      }),
    )
  })
})

const spoken = (text: string): string => spokenText(text, undefined).text

describe('spoken Markdown', () => {
  it('has no syntax characters', () => {
    expect(spoken('# A title\n\nSome **bold**, *slanted* and `code`, ~~struck~~.')).toBe(
      'A title Some bold, slanted and code, struck.',
    )
    expect(spoken('See [the page](https://example.org/a_b) or ![a cat](x.png).')).toBe('See the page or a cat.')
    expect(spoken('- one\n- [x] two\n> three\n---\n')).toBe('one two three')
    expect(spoken('| a | b |\n|---|---|\n| 1 | 2 |')).toBe('a, b 1, 2')
  })

  it('keeps words and numbers unchanged', () => {
    expect(spoken('snake_case and 2 * 3 are 6')).toBe('snake_case and 2 * 3 are 6')
  })

  it('has no asterisks around Chinese, Japanese and Korean words', () => {
    expect(spoken('这是*强调*，**这是重点。**然后~~删除~~。')).toBe('这是强调，这是重点。然后删除。')
    expect(spoken('これは*「重要」*です。이것은 **중요(필독)**입니다。')).toBe(
      'これは「重要」です。이것은 중요(필독)입니다。',
    )
    expect(spoken('见[文档](https://example.org/a)，或 2*3')).toBe('见文档，或 2*3')
  })

  it.each([
    '[',
    '[a](',
    '![',
    '**',
    '`',
    '~',
    '``` ',
    '*a',
    '_ ',
    '|',
    '\u0301',
    ' ',
    '- ',
    '> ',
    '中*',
    '$',
    '$a',
    '\\\\(',
    '\\\\[',
    '\\\\frac{',
    '[^',
    '<br',
  ])('takes no long time for many %j', (piece) => {
    const startedAt = process.cpuUsage().user
    spoken(`${piece.repeat(64_000 / piece.length)}\`x`)
    nextAnnouncement(piece.repeat(64_000 / piece.length), 0, true)
    expect((process.cpuUsage().user - startedAt) / 1_000).toBeLessThan(150)
  })

  it('skips code blocks, also across parts', () => {
    expect(spoken('Look:\n```js\nrun()\n```\nDone.')).toBe('Look: Code block in js. Done.')
    const first = spokenText('Look:\n```\nrun(1). ', undefined)
    expect(first).toEqual({ text: 'Look: Code block.', inside: 'code' })
    expect(spokenText('run(2)\n```\nDone.', first.inside)).toEqual({ text: 'Done.', inside: undefined })
  })

  it('has formulas in words, and amounts as they are', () => {
    expect(spoken('So $a^2 + b_1 \\le \\frac{1}{2}$ or \\(\\alpha \\cdot x\\), for $5 or $10.')).toBe(
      'So a squared + b 1 is at most 1 over 2 or alpha times x, for $5 or $10.',
    )
    const first = spokenText('Then:\n\\[\n\\begin{aligned} x &= \\sqrt{y} \\\\', undefined)
    expect(first).toEqual({ text: 'Then: x = root of y', inside: '\\]' })
    const rest = '\\end{aligned}\n\\]\nDone. $$z$$'
    expect(spokenText(rest, first.inside)).toEqual({ text: 'Done. z', inside: undefined })
  })

  it('names footnotes, and skips their references', () => {
    expect(spoken('It is so.[^1]\n\n[^1]: *Proof*.\n\n| a<br>b | c |')).toBe('It is so. Footnote 1: Proof. a b, c')
  })
})
