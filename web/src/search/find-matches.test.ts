// What the search in a conversation finds.
import { expect, it } from 'vitest'
import { firstFrom, matchCounter, placeOf, type Query, queryOf, shownText } from './find-matches.ts'
import { searchedParts } from './searched-parts.ts'

const count = (text: string, query: string): number =>
  matchCounter(queryOf(query) as Query)({ key: {}, text: () => shownText(text) })

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
  const key = {}
  expect(counter({ key, text: () => 'x x' })).toBe(2)
  expect(counter({ key, text: () => '' })).toBe(2)
})

it('knows the turn of each match, and the first match from a turn on', () => {
  const counts = [[1, 1], [], [0, 2, 1]]
  const places = [0, 1, 2, 4, 5].map((at) => placeOf(counts, at))
  expect(places).toEqual([
    { turn: 0, part: 0, nth: 0 },
    { turn: 0, part: 1, nth: 0 },
    { turn: 2, part: 1, nth: 0 },
    { turn: 2, part: 2, nth: 0 },
    undefined,
  ])
  expect([0, 1, 2, 3].map((turn) => firstFrom(counts, turn))).toEqual([0, 2, 2, 0])
})

// The search did not look into reasoning and tool cards.
it('looks into messages, answers, reasoning and tool cards, in the order of the page', () => {
  const call = { name: 'look_up', status: 'completed', input: { city: 'Bern', days: [1, 2] }, output: ['', 'sunny'] }
  const turn = {
    message: { content: [{ type: 'text', text: '**Hi**' }, { type: 'file' }] },
    run: {
      parts: [
        { type: 'reasoning', text: '*Hm*' },
        { type: 'tool', call: 'c1', name: 'look_up' },
        { type: 'message', message: 'm2' },
        { type: 'tool', call: 'c2', name: 'unknown' },
        { type: 'text', text: 'Sun.' },
      ],
    },
  }
  const parts = searchedParts(turn as never, { calls: new Map([['c1', call]]), runs: new Map() } as never)
  const card = 'look_up\ncity\nBern\ndays\n1\n2\nempty text\nsunny'
  expect(parts.map((part) => part.text())).toEqual(['Hi', 'Hm', card, 'unknown', 'Sun.'])
})
