// What a counter rose by, as a Prometheus shows it at steps; and times as people write them. That the questions are right is
// tested with a real one, in report.process.test.ts.
import { expect, it } from 'vitest'
import { increase } from './prometheus.ts'
import { secondsOf } from './time.ts'

const FROM = 1_000
/** Asked from the beginning, and running since long before. */
const OLD = node(FROM, 10)

function node(since: number, began: number) {
  return series([since, began])
}

function series(...values: readonly (readonly [number, number])[]) {
  return { metric: {}, values: values.map(([time, value]) => [time, String(value)] as const) }
}

it.each([
  ['what it rose by since the beginning', series([1_000, 5], [1_010, 5], [1_020, 9]), OLD, 4],
  ['all of it, where it was first counted later', series([1_010, 2], [1_020, 3]), OLD, 3],
  ['what was before a restart and what was after', series([1_000, 5], [1_010, 8], [1_020, 2], [1_030, 4]), OLD, 7],
  ['all of a node that began later', series([1_010, 2], [1_020, 3]), node(1_010, 1_005), 3],
  ['only what it rose by, of a node that nobody asked before', series([1_010, 2], [1_020, 3]), node(1_010, 500), 1],
  ['only what it rose by, where nothing is known of its node', series([1_010, 2], [1_020, 3]), undefined, 1],
  ['what it rose by over a time in which its node was away', series([1_000, 2], [1_900, 6]), OLD, 4],
  ['nothing, where there is nothing', series(), OLD, 0],
])('a counter gives %s', (_, counter, of, risen) => {
  expect(increase(counter, of, FROM)).toBe(risen)
})

it('a time is a moment, or as long ago', () => {
  const now = Date.parse('2026-11-23T12:00:00Z') / 1000
  expect(secondsOf('now', now)).toBe(now)
  expect(secondsOf('90m', now)).toBe(now - 5_400)
  expect(secondsOf('7d ago', now)).toBe(now - 7 * 86_400)
  expect(secondsOf('2026-11-23T11:59Z', now)).toBe(now - 60)
  expect(() => secondsOf('yesterday', now)).toThrow('yesterday is no time')
})
