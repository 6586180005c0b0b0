// CommandGate: the buckets of users and of addresses.
import { expect, it } from 'vitest'
import { CommandGate } from './command-gate.ts'

const LIMIT = { perSecond: 1, burst: 2 }

it('accepts everything without limits', () => {
  const gate = new CommandGate({})
  expect(Array.from({ length: 100 }, () => gate.wait('ann', '1.2.3.4')).every((wait) => wait === 0)).toBe(true)
})

it('counts a user over all addresses', () => {
  const gate = new CommandGate({ user: LIMIT })
  expect([gate.wait('ann', 'a'), gate.wait('ann', 'b')]).toEqual([0, 0])
  expect(gate.wait('ann', 'c')).toBeGreaterThan(0)
  expect(gate.wait('bob', 'c')).toBe(0)
})

it('counts an address over all users, and does not charge a user whom it refuses', () => {
  const gate = new CommandGate({ user: { perSecond: 0.001, burst: 1 }, address: LIMIT })
  expect([gate.wait(undefined, 'a'), gate.wait('ann', 'a')]).toEqual([0, 0])
  expect(gate.wait('bob', 'a')).toBeGreaterThan(0)
  expect(gate.wait('bob', 'b')).toBe(0)
})
