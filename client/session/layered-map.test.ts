// LayeredMap: it behaves as an immutable Map, whatever is set in whatever order.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LayeredMap } from './layered-map.ts'

it('is a map, and leaves its earlier versions as they were', () => {
  const change = fc.tuple(fc.nat({ max: 60 }), fc.nat())
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      let layered = LayeredMap.empty<number, number>()
      const model = new Map<number, number>()
      const versions = changes.map(([key, value]) => {
        layered = layered.with(key, value)
        model.set(key, value)
        return { layered, entries: [...model] }
      })
      for (const version of versions) {
        expect([...version.layered]).toEqual(version.entries)
        expect(version.layered.size).toBe(version.entries.length)
        for (const [key, value] of version.entries) expect(version.layered.get(key)).toBe(value)
        expect(version.layered.has(99)).toBe(false)
      }
    }),
    { numRuns: 50 },
  )
})
