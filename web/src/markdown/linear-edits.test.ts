// How edits are applied to the parser's events.
import fc from 'fast-check'
import { EditMap } from 'micromark-util-edit-map'
import type { Event } from 'micromark-util-types'
import { expect, it } from 'vitest'
import { installLinearEdits } from './linear-edits.ts'
import { parseMarkdown } from './parse-markdown.ts'

installLinearEdits()

const eventsOf = (names: readonly string[]) => names as unknown as Event[]

it('applies edits at different places as one after the other would', () => {
  const edit = fc.record({
    keep: fc.nat(3),
    remove: fc.nat(3),
    add: fc.array(fc.string({ maxLength: 2 }), { maxLength: 3 }),
  })
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 6 }), fc.nat(4), fc.boolean(), (edits, tail, isReversed) => {
      const places: [at: number, remove: number, add: string[]][] = []
      let length = 0
      for (const { keep, remove, add } of edits) {
        length += keep + 1
        places.push([length, remove, add])
        length += remove
      }
      const before = Array.from({ length: length + tail }, (_, at) => `event ${at}`)
      const expected = [...before]
      for (const [at, remove, add] of [...places].reverse()) expected.splice(at, remove, ...add)
      const map = new EditMap()
      for (const [at, remove, add] of isReversed ? places.reverse() : places) map.add(at, remove, eventsOf(add))
      const events = eventsOf([...before])
      map.consume(events)
      expect(events).toEqual(expected)
    }),
  )
})

// Alternating nested lists of 64 kB took 7 s.
it('does not touch the events before the first edit', () => {
  const events = eventsOf(['a', 'b', 'c'])
  Object.defineProperty(events, 0, {
    get: () => {
      throw new Error('read')
    },
  })
  const map = new EditMap()
  map.add(2, 1, eventsOf(['d', 'e']))
  map.consume(events)
  expect(events.slice(1)).toEqual(['b', 'd', 'e'])
})

it('is what the parser uses', () => {
  parseMarkdown('- a\n* b')
  expect(String(EditMap.prototype.consume)).toContain('keepUntil')
})
