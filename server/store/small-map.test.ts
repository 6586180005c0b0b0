// SmallMap: zero, one and several items in a field, found by their keys.
import { expect, test } from 'vitest'
import { SmallMap, type SmallMapField } from './small-map.ts'

interface Item {
  readonly key: string
  readonly value: number
}

const items = new SmallMap<string, Item>(({ key }) => key)
const [a, b, c] = ['a', 'b', 'c'].map((key, value) => ({ key, value })) as [Item, Item, Item]

test('holds no item as undefined, one item directly, and several in a map', () => {
  let field: SmallMapField<string, Item>
  expect([items.size(field), [...items.all(field)], items.get(field, 'a')]).toEqual([0, [], undefined])
  field = items.with(field, a)
  expect(field).toBe(a)
  field = items.with(items.with(field, b), c)
  expect(items.size(field)).toBe(3)
  expect([...items.all(field)]).toEqual([a, b, c])
  for (const key of ['a', 'b', 'c']) field = items.without(field, key)
  expect(field).toBeUndefined()
})

test('finds each item by its key, also a single one', () => {
  const two = items.with(items.with(undefined, a), b)
  expect(items.get(two, 'b')).toBe(b)
  expect(items.get(two, 'c')).toBeUndefined()
  expect(items.get(a, 'a')).toBe(a)
  expect(items.get(a, 'b')).toBeUndefined()
})

test('replaces the item with the same key', () => {
  const newer = { key: 'a', value: 7 }
  expect(items.with(a, newer)).toBe(newer)
  expect([...items.all(items.with(items.with(a, b), newer))]).toEqual([newer, b])
})

test('ignores the removal of an absent key', () => {
  expect(items.without(undefined, 'a')).toBeUndefined()
  expect(items.without(a, 'b')).toBe(a)
  expect(items.size(items.without(items.with(a, b), 'c'))).toBe(2)
})
