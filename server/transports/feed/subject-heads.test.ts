// Which compacting entries live readers need in full.
import { describe, expect, it } from 'vitest'
import { Entry } from '../../store/ports/entry.ts'
import { SubjectHeads } from './subject-heads.ts'

function entry(seq: number, prev: number, rollup = false, subject = 'run.a'): Entry {
  return new Entry({ seq, prev, subject, time: 0, rollup, json: '{}' })
}

describe('a compacting entry', () => {
  it('is not needed in full if its entries were delivered', () => {
    const heads = new SubjectHeads(10)
    expect(
      heads.record([entry(11, 9), entry(12, 0, false, 'in.c'), entry(13, 11), entry(14, 13, true)]),
    ).toBeUndefined()
    // The next one follows it.
    expect(heads.record([entry(15, 14), entry(16, 15, true)])).toBeUndefined()
  })

  it('is not needed in full if its entries precede the feed', () => {
    expect(new SubjectHeads(10).record([entry(11, 10, true)])).toBeUndefined()
  })

  it('is needed in full if entries were compacted before they arrived', () => {
    const heads = new SubjectHeads(10)
    heads.record([entry(11, 0)])
    const [other, rollup] = [entry(19, 0, false, 'run.b'), entry(20, 15, true)]
    expect(heads.record([other, rollup])).toEqual(new Set([rollup]))
    expect(heads.record([entry(21, 20), entry(22, 21, true)])).toBeUndefined()
  })

  it('is needed in full for an unknown subject that started after the feed', () => {
    const rollup = entry(20, 15, true)
    expect(new SubjectHeads(10).record([rollup])).toEqual(new Set([rollup]))
  })

  it('is needed in full for a subject that was forgotten above the limit', () => {
    const heads = new SubjectHeads(0)
    heads.record([entry(1, 0)])
    for (let other = 0; other < 2_000; other += 1) heads.record([entry(2 + other, 0, false, `run.${other}`)])
    const rollup = entry(5_000, 1, true)
    expect(heads.record([rollup])).toEqual(new Set([rollup]))
  })
})
