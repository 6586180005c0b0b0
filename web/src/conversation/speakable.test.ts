// What of Markdown a screen reader is told.
import { describe, expect, it } from 'vitest'
import { speakable } from './speakable.ts'

const said = (text: string): string => speakable(text, false).text

describe('what is said of a text', () => {
  it('is its words, without its signs', () => {
    expect(said('# A title\n\nSome **bold**, *slanted* and `code`, ~~struck~~.')).toBe(
      'A title Some bold, slanted and code, struck.',
    )
    expect(said('See [the page](https://example.org/a_b) or ![a cat](x.png).')).toBe('See the page or a cat.')
    expect(said('- one\n- [x] two\n> three\n---\n')).toBe('one two three')
    expect(said('| a | b |\n|---|---|\n| 1 | 2 |')).toBe('a, b 1, 2')
  })

  it('leaves words and numbers as they are', () => {
    expect(said('snake_case and 2 * 3 are 6')).toBe('snake_case and 2 * 3 are 6')
  })

  it('passes over programs, also when they come in pieces', () => {
    expect(said('Look:\n```js\nrun()\n```\nDone.')).toBe('Look: A program in js. Done.')
    const first = speakable('Look:\n```\nrun(1). ', false)
    expect(first).toEqual({ text: 'Look: A program.', inCode: true })
    expect(speakable('run(2)\n```\nDone.', first.inCode)).toEqual({ text: 'Done.', inCode: false })
  })
})
