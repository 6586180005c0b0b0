// Increases of counters at Prometheus's steps, and the text form of times. report.process.test.ts tests the queries with a
// real Prometheus.
import { expect, it } from 'vitest'
import { increase, secondsOf } from './prometheus.ts'

const FROM = 1_000
/** A node that was scraped from the start, and had started long before. */
const OLD = node(FROM, 10)

function node(since: number, began: number) {
  return series([since, began])
}

function series(...values: readonly (readonly [number, number])[]) {
  return { metric: {}, values: values.map(([time, value]) => [time, String(value)] as const) }
}

it.each([
  ['its increase since the start of the period', series([1_000, 5], [1_010, 5], [1_020, 9]), OLD, 4],
  ['its whole value if it was first counted later', series([1_010, 2], [1_020, 3]), OLD, 3],
  ['the increases before and after a restart', series([1_000, 5], [1_010, 8], [1_020, 2], [1_030, 4]), OLD, 7],
  ['its whole value if its node started later', series([1_010, 2], [1_020, 3]), node(1_010, 1_005), 3],
  ['only its increase if its node was not scraped before', series([1_010, 2], [1_020, 3]), node(1_010, 500), 1],
  ['only its increase if its node is unknown', series([1_010, 2], [1_020, 3]), undefined, 1],
  ['its increase over a gap in the scrapes', series([1_000, 2], [1_900, 6]), OLD, 4],
  ['0 without values', series(), OLD, 0],
])('a counter yields %s', (_, counter, of, risen) => {
  expect(increase(counter, of, FROM)).toBe(risen)
})

it('a time is a date or an age', () => {
  const now = Date.parse('2026-11-23T12:00:00Z') / 1000
  expect(secondsOf('now', now)).toBe(now)
  expect(secondsOf('90m', now)).toBe(now - 5_400)
  expect(secondsOf('7d ago', now)).toBe(now - 7 * 86_400)
  expect(secondsOf('2026-11-23T11:59Z', now)).toBe(now - 60)
  expect(() => secondsOf('yesterday', now)).toThrow('yesterday is not a time')
})
