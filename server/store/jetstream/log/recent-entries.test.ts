// The cache of recent entries: what it has, what it evicts, and that it stays within its limits.
import { describe, expect, it } from 'vitest'
import { Entry } from '../../ports/entry.ts'
import { CacheBudget } from './recent-entries.ts'

function entry(seq: number, subject = 'run.r', size = 100, rollup = false): Entry {
  return new Entry({ seq, prev: 0, subject, time: 0, rollup, json: 'x'.repeat(size) })
}

const seqs = (entries: readonly Entry[]): number[] => entries.map(({ seq }) => seq)

describe('recent entries', () => {
  it('include the entries after the floor', () => {
    const recent = new CacheBudget().open(5)
    recent.add([entry(7), entry(9)], 10)
    expect([recent.floor, recent.top]).toEqual([5, 10])
    expect([seqs(recent.after(5)), seqs(recent.after(7)), seqs(recent.after(8)), seqs(recent.after(10))]).toEqual([
      [7, 9],
      [9],
      [9],
      [],
    ])
  })

  it('drop entries that a rollup replaces, and remember that they were there', () => {
    const recent = new CacheBudget().open(0)
    recent.add([entry(1), entry(2, 'in.c'), entry(3)], 3)
    recent.add([entry(4, 'run.r', 100, true)], 4)
    expect(seqs(recent.after(0))).toEqual([2, 4])
    expect([recent.knows(1, 'run.r'), recent.knows(2, 'in.c'), recent.knows(3, 'in.d')]).toEqual([true, true, false])
  })

  it('can be extended by older entries, except replaced ones', () => {
    const recent = new CacheBudget().open(10)
    recent.add([entry(11, 'run.r', 100, true)], 11)
    expect(recent.extend([entry(4), entry(6, 'in.c')], 3)).toBe(true)
    expect(recent.floor).toBe(3)
    expect(seqs(recent.after(3))).toEqual([6, 11])
  })

  it('drop the older half if a session has too many bytes', () => {
    const budget = new CacheBudget({ sessionBytes: 3_000 })
    const recent = budget.open(0)
    for (let seq = 1; seq <= 40; seq++) recent.add([entry(seq)], seq)
    expect(budget.bytes).toBeLessThanOrEqual(3_000)
    expect(seqs(recent.after(recent.floor))[0]).toBe(recent.floor + 1)
    expect(recent.extend([entry(1, 'run.z', 5_000)], 0)).toBe(false)
  })

  it('of the least recently read session are dropped if all sessions together have too many bytes', () => {
    const budget = new CacheBudget({ bytes: 4_000, sessionBytes: 3_000 })
    const [first, second, third] = [budget.open(0), budget.open(0), budget.open(0)]
    for (const recent of [first, second]) recent.add([entry(1), entry(2), entry(3), entry(4), entry(5)], 5)
    first.after(0)
    third.add([entry(1), entry(2), entry(3), entry(4), entry(5)], 5)
    expect([seqs(first.after(0)), second.floor, seqs(third.after(0))]).toEqual([[1, 2, 3, 4, 5], 5, [1, 2, 3, 4, 5]])
    for (const recent of [first, second, third]) budget.closed(recent)
    expect(budget.bytes).toBe(0)
  })
})
