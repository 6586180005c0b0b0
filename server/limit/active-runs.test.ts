// ActiveRuns, fed with announcements of nodes.
import { expect, it } from 'vitest'
import { ActiveRuns } from './active-runs.ts'

it('counts a run once, however many nodes announce it', () => {
  const runs = new ActiveRuns(15_000)
  runs.announce('ann', 'r1', 0)
  runs.announce('ann', 'r1', 5)
  runs.announce('ann', 'r2', 5)
  runs.announce('bob', 'r3', 5)
  expect([runs.count('ann', 10), runs.count('bob', 10), runs.count('eve', 10)]).toEqual([2, 1, 0])
  runs.end('ann', 'r1', 20)
  expect(runs.count('ann', 20)).toBe(1)
})

it('ignores an announcement that arrives just after the end of the run', () => {
  const runs = new ActiveRuns(15_000)
  runs.end('ann', 'r1', 100)
  runs.announce('ann', 'r1', 105)
  expect(runs.count('ann', 106)).toBe(0)
})

it('counts a run that another node continues', () => {
  const runs = new ActiveRuns(15_000)
  runs.announce('ann', 'r1', 0)
  runs.end('ann', 'r1', 100)
  runs.announce('ann', 'r1', 5_100)
  expect(runs.count('ann', 5_100)).toBe(1)
  runs.end('ann', 'r1', 5_200)
  runs.resume('ann', 'r1', 5_201)
  expect(runs.count('ann', 5_202)).toBe(1)
})

it('forgets only runs that no node announces', () => {
  const runs = new ActiveRuns(15_000)
  runs.announce('ann', 'r1', 0)
  runs.announce('ann', 'r2', 0)
  runs.announce('ann', 'r2', 10_000)
  expect(runs.count('ann', 14_999)).toBe(2)
  runs.sweep(15_000)
  expect(runs.has('ann', 'r1')).toBe(false)
  expect(runs.count('ann', 24_999)).toBe(1)
  expect(runs.count('ann', 25_000)).toBe(0)
})
