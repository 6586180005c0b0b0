// Runs under way, as nodes tell of them: counted once, forgotten when nobody speaks of them.
import { expect, it } from 'vitest'
import { RunsUnderWay } from './runs-under-way.ts'

it('counts a run once, whoever speaks of it', () => {
  const runs = new RunsUnderWay(15_000)
  runs.on('ann', 'r1', 0)
  runs.on('ann', 'r1', 5)
  runs.on('ann', 'r2', 5)
  runs.on('bob', 'r3', 5)
  expect([runs.count('ann', 10), runs.count('bob', 10), runs.count('eve', 10)]).toEqual([2, 1, 0])
  runs.off('ann', 'r1', 20)
  expect(runs.count('ann', 20)).toBe(1)
})

it('does not count one again of which is heard just after its end', () => {
  const runs = new RunsUnderWay(15_000)
  runs.off('ann', 'r1', 100)
  runs.on('ann', 'r1', 105)
  expect(runs.count('ann', 106)).toBe(0)
})

it('counts one that another node goes on with', () => {
  const runs = new RunsUnderWay(15_000)
  runs.on('ann', 'r1', 0)
  runs.off('ann', 'r1', 100)
  runs.on('ann', 'r1', 5_100)
  expect(runs.count('ann', 5_100)).toBe(1)
  runs.off('ann', 'r1', 5_200)
  runs.again('ann', 'r1', 5_201)
  expect(runs.count('ann', 5_202)).toBe(1)
})

it('forgets those of whom nobody speaks any more, and no others', () => {
  const runs = new RunsUnderWay(15_000)
  runs.on('ann', 'r1', 0)
  runs.on('ann', 'r2', 0)
  runs.on('ann', 'r2', 10_000)
  expect(runs.count('ann', 14_999)).toBe(2)
  runs.sweep(15_000)
  expect(runs.has('ann', 'r1')).toBe(false)
  expect(runs.count('ann', 24_999)).toBe(1)
  expect(runs.count('ann', 25_000)).toBe(0)
})
