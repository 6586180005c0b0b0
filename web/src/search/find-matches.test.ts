// What the search in a conversation finds.
import { expect, it } from 'vitest'
import { firstFrom, matchCounter, placeOf, type Query, queryOf } from './find-matches.ts'

const count = (text: string, query: string): number => matchCounter(queryOf(query) as Query)({ text })

it('finds words whatever their case, emphasis and white space, and nothing that only the syntax has', () => {
  expect(count('The Cat and the cat', 'cat')).toBe(2)
  expect(count('a **bold** cat\nsat', 'bold  cat sat')).toBe(1)
  expect(count('[here](https://example.org/cat)', 'cat')).toBe(0)
  expect(count('```cat\nthe_cat = 1\n```\n`cat`', 'cat')).toBe(2)
  expect(count('1 + 1 (sum) [x] a/b-c', '(sum) [x] a/b-c')).toBe(1)
  expect(count('die STRASSE', 'strasse')).toBe(1)
  expect(queryOf('  \n')).toBeUndefined()
})

it('finds what the page shows: code as it is, words with emphasis inside, and decoded characters', () => {
  expect(count('Call `__init__` and ``a ` b``', '__init__')).toBe(1)
  expect(count('Call `__init__` and ``a ` b``', 'a ` b')).toBe(1)
  expect(count('这是**重点**内容', '是重点内')).toBe(1)
  expect(count('**Wort**teil', 'Wortteil')).toBe(1)
  expect(count('AT&amp;T, `&amp;` &lt;', 'AT&T')).toBe(1)
  expect(count('AT&amp;T, `&amp;` &lt;', '<')).toBe(1)
  expect(count('a\\_b \\*c\\*', 'a_b *c*')).toBe(1)
  expect(count('my__own__name', 'my__own__name')).toBe(1)
})

it('counts a part once', () => {
  const counter = matchCounter(queryOf('x') as Query)
  const part = { text: 'x x' }
  expect(counter(part)).toBe(2)
  part.text = ''
  expect(counter(part)).toBe(2)
})

it('knows the turn of each match, and the first match from a turn on', () => {
  const counts = [2, 0, 3]
  const places = [0, 1, 2, 4, 5].map((at) => placeOf(counts, at))
  expect(places).toEqual([
    { turn: 0, nth: 0 },
    { turn: 0, nth: 1 },
    { turn: 2, nth: 0 },
    { turn: 2, nth: 2 },
    undefined,
  ])
  expect([0, 1, 2, 3].map((turn) => firstFrom(counts, turn))).toEqual([0, 2, 2, 0])
})
