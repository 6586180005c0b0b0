// SmallMapField things by their keys: none, one as it is, more in a map.
import { expect, test } from 'vitest'
import { SmallMap, type SmallMapField } from './small-map.ts'

interface Item {
  readonly key: string
  readonly value: number
}

const by = new SmallMap<string, Item>(({ key }) => key)
const [a, b, c] = ['a', 'b', 'c'].map((key, value) => ({ key, value })) as [Item, Item, Item]

test('one is held as it is, more are held in a map, and none as nothing', () => {
  let few: SmallMapField<string, Item>
  expect([by.size(few), [...by.all(few)], by.get(few, 'a')]).toEqual([0, [], undefined])
  few = by.with(few, a)
  expect(few).toBe(a)
  few = by.with(by.with(few, b), c)
  expect(by.size(few)).toBe(3)
  expect([...by.all(few)]).toEqual([a, b, c])
  for (const key of ['a', 'b', 'c']) few = by.without(few, key)
  expect(few).toBeUndefined()
})

test('each is found by its key, also when it is the only one', () => {
  const two = by.with(by.with(undefined, a), b)
  expect(by.get(two, 'b')).toBe(b)
  expect(by.get(two, 'c')).toBeUndefined()
  expect(by.get(a, 'a')).toBe(a)
  expect(by.get(a, 'b')).toBeUndefined()
})

test('another one of the same key takes its place', () => {
  const newer = { key: 'a', value: 7 }
  expect(by.with(a, newer)).toBe(newer)
  expect([...by.all(by.with(by.with(a, b), newer))]).toEqual([newer, b])
})

test('who is not there cannot be taken away', () => {
  expect(by.without(undefined, 'a')).toBeUndefined()
  expect(by.without(a, 'b')).toBe(a)
  expect(by.size(by.without(by.with(a, b), 'c'))).toBe(2)
})
