// A session's title, from the text of its first message.
import { expect, it } from 'vitest'
import { DOLLAR_TEXTS } from './test/dollar-texts.ts'
import { plainLine, titleOf } from './title.ts'

it('is the first words without Markdown, on one line', () => {
  expect(titleOf('# Plan\n\n- **Buy** [bread](https://example.org)')).toBe('Plan Buy bread')
  expect(titleOf('Solve $x^2 = 4$ for \\(x\\), for $5 or $10')).toBe('Solve x^2 = 4 for x, for $5 or $10')
  expect(titleOf(' \n ')).toBeUndefined()
  expect(titleOf('**')).toBeUndefined()
  expect(titleOf('word '.repeat(100))).toHaveLength(80)
})

it.each(DOLLAR_TEXTS)('keeps the dollar signs of %j', (text) => {
  expect(titleOf(text)).toBe(text)
})

it.each([
  ["the $n$th, $(a)$-b and $x'$s", "the nth, (a)-b and x's"],
  ['between \\$5 and \\$10', 'between $5 and $10'],
  ['`$x$`, `__init__`, `` a`b `` and `*`', '$x$, __init__, a`b and *'],
  ['$a_1*b*c$ and \\(x \\_ y\\)', 'a_1*b*c and x \\_ y'],
  ['1 &lt; 2 &amp;amp; &#x1F600;&#65;&#0; &unknown;', '1 < 2 &amp; 😀A\ufffd &unknown;'],
  ['\\# \\*a\\* \\[b](c)', '# *a* [b](c)'],
  ['| `a` | \\| |', 'a, |'],
  ['[a](b`c`) `d` \ue0000\ue000', 'a d 0'],
])('shows the text of %j', (text, plain) => {
  expect(plainLine(text)).toBe(plain)
})

it.each(['`', '` ', '`a', '\\(', '\\(\\[', '\\$', '$\\$', "$a'", '&#', '\\', '&amp;', '\ue000', "'"])(
  'takes no long time for many %j',
  (piece) => {
    const startedAt = process.cpuUsage().user
    plainLine(`$${piece.repeat(64_000 / piece.length)}`)
    expect((process.cpuUsage().user - startedAt) / 1_000).toBeLessThan(150)
  },
)
