// What writers say of what they have spent gives one sum, in whatever order and however often it is heard.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { heard, NOTHING_SPENT, recalled, spent, type UsageCount } from './usage-count.ts'

const said = fc.record({ writer: fc.constantFrom('n1', 'n2', 'n3'), total: fc.nat(1_000) })

function sumOf(own: number, heardOf: readonly { readonly writer: string; readonly total: number }[]): number {
  const hear = (count: UsageCount, { writer, total }: { writer: string; total: number }): UsageCount =>
    heard(count, writer, total)
  return heardOf.reduce(hear, spent(NOTHING_SPENT, own)).sum
}

it('comes to the greatest that each writer said, however it is heard', () => {
  const anyOrder = fc
    .array(said)
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

it('never grows smaller', () => {
  const count = heard(spent(NOTHING_SPENT, 5), 'n1', 10)
  expect(heard(count, 'n1', 9)).toBe(count)
  expect(recalled(count, 4)).toBe(count)
  expect(recalled(count, 8)).toMatchObject({ own: 8, sum: 18 })
})
