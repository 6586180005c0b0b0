// A model is asked for the rest of an answer, and repeats some of its end, or nothing, with the same or other white space.
import { expect, it } from 'vitest'
import { SeamFilter } from './seam-filter.ts'

const PROSE =
  'A session is one durable, ordered log. Every change is an append to it, and every reader reads from it. Durable before visible: ' +
  'no reader sees an entry that the log has not stored. One race, one rule: the first append wins, and all others fail with a conflict. '
const CODE =
  'Here is the function:\n\n```ts\nexport function add(a: number, b: number): number {\n  const sum = a + b\n'
const CHINESE = '会话是一个持久的、有序的日志。每次更改都是对它的追加，每个读者都从中'

/** The rest of the text, cut into deltas of a size. */
function join(beginning: string, rest: string, size: number): string {
  const filter = new SeamFilter(beginning)
  let joined = beginning
  for (let at = 0; at < rest.length; at += size) joined += filter.push(rest.slice(at, at + size))
  return joined + filter.flush()
}

/** The beginning, what the model writes, and the whole. */
type Case = readonly [string, string, string]

/** The model repeats as many characters of the beginning as given. */
function repeated(whole: string, cut: number, count: number): Case {
  return [whole.slice(0, cut), whole.slice(cut - count), whole]
}

const END = 'They retry.'
const WHOLE = PROSE + END

const CASES: readonly Case[] = [
  // Nothing is repeated: at the end of a word, within one, after a space, before punctuation.
  ...[1, 9, 10, 30, 38, 39, 46, 100, 104, 150, WHOLE.length - 3].map((cut) => repeated(WHOLE, cut, 0)),
  // From one character to two hundred. Of up to three, whole words: a letter, a sign, a number of signs.
  repeated('Plan A', 6, 1),
  repeated('I like a lot of it', 8, 1),
  repeated('f(x) = (x + 1)', 8, 1),
  repeated('It is 12 o’clock', 8, 2),
  repeated('He ran. It is.', 13, 2),
  repeated('Ask for the log.', 11, 3),
  ...[4, 5, 6, 8, 10, 13, 17, 20, 25, 31, 40, 50, 64, 80, 99, 120, 150, 180, 199, 200].map((count) =>
    repeated(WHOLE, 230, count),
  ),
  // All of a short beginning, and a line of code.
  repeated('One. Two. Three.', 9, 9),
  repeated(`${CODE}  return sum\n}\n`, CODE.length, 21),
  repeated(`${CODE}  return sum\n}\n`, CODE.length, 0),
  // Scripts without spaces.
  repeated(`${CHINESE}读取。`, CHINESE.length, 1),
  repeated(`${CHINESE}读取。`, CHINESE.length, 5),
  // Other white space: before the repeated words, between them, and after them.
  [PROSE, `\n\nall others fail with a conflict. ${END}`, WHOLE],
  [PROSE, `all others\nfail  with a conflict.\n${END}`, WHOLE],
  [PROSE.trimEnd(), `fail with a\nconflict. ${END}`, WHOLE],
  [PROSE, ` ${END}`, WHOLE],
  [CODE, '  const sum = a + b\n  return sum', `${CODE}  return sum`],
  ['- one\n- two\n', '- two\n- three', '- one\n- two\n- three'],
  ['One line.\n\n', 'One line.\n\nAnother.', 'One line.\n\nAnother.'],
  // Not repeated: the same letters by chance.
  ['hel', 'lo', 'hello'],
  ['He said that', ' that was all', 'He said that that was all'],
  ['a committee', 'e is not', 'a committeee is not'],
]

it('has fifty cases', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(50)
})

it.each(CASES)('joins %j and %j', (beginning, rest, whole) => {
  for (const size of [1, 2, 3, 7, 1_000]) expect(join(beginning, rest, size), `deltas of ${size}`).toBe(whole)
})

it('delays nothing that cannot be a repetition', () => {
  const filter = new SeamFilter(PROSE)
  expect(filter.push('Zebras')).toBe('Zebras')
  expect(filter.push(' run')).toBe(' run')
})

it('delays no more than the end that can be repeated', () => {
  const filter = new SeamFilter('ab'.repeat(1_000))
  let held = 0
  while (filter.push('ab') === '') held += 2
  expect(held).toBeLessThanOrEqual(400)
})
