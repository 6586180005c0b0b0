// A session's title, from the text of its first message.
import { expect, it } from 'vitest'
import { titleOf } from './title.ts'

it('is the first words without Markdown, on one line', () => {
  expect(titleOf('# Plan\n\n- **Buy** [bread](https://example.org)')).toBe('Plan Buy bread')
  expect(titleOf('Solve $x^2 = 4$ for \\(x\\), for $5 or $10')).toBe('Solve x^2 = 4 for x, for $5 or $10')
  expect(titleOf(' \n ')).toBeUndefined()
  expect(titleOf('**')).toBeUndefined()
  expect(titleOf('word '.repeat(100))).toHaveLength(80)
})
