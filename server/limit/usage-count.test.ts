// UsageCount: the order and repetitions of reported totals do not matter.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { added, merged, NO_USAGE, restored, type UsageCount } from './usage-count.ts'

interface Report {
  readonly writer: string
  readonly total: number
}

const report = fc.record({ writer: fc.constantFrom('n1', 'n2', 'n3'), total: fc.nat(1_000) })

function sumOf(own: number, reports: readonly Report[]): number {
  const merge = (count: UsageCount, { writer, total }: Report): UsageCount => merged(count, writer, total)
  return reports.reduce(merge, added(NO_USAGE, own)).sum
}

it('is the sum of the greatest total of each writer, in any order', () => {
  const anyOrder = fc
    .array(report)
    .chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 })),
    )
  fc.assert(
    fc.property(fc.nat(1_000), anyOrder, (own, [list, shuffled]) => {
      const greatest = new Map<string, number>()
      for (const { writer, total } of list) greatest.set(writer, Math.max(total, greatest.get(writer) ?? 0))
      const sum = [...greatest.values()].reduce((a, b) => a + b, own)
      expect([sumOf(own, list), sumOf(own, shuffled)]).toEqual([sum, sum])
    }),
  )
})

it('never decreases', () => {
  const count = merged(added(NO_USAGE, 5), 'n1', 10)
  expect(merged(count, 'n1', 9)).toBe(count)
  expect(restored(count, 4)).toBe(count)
  expect(restored(count, 8)).toMatchObject({ own: 8, sum: 18 })
})
