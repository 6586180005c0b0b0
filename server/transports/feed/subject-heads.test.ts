// Which roll-ups readers who were live all the time need whole.
import { describe, expect, it } from 'vitest'
import { Entry } from '../../store/ports/entry.ts'
import { SubjectHeads } from './subject-heads.ts'

function entry(seq: number, prev: number, rollup = false, subject = 'run.a'): Entry {
  return new Entry({ seq, prev, subject, time: 0, rollup, json: '{}' })
}

describe('a roll-up', () => {
  it('of what was handed out is not needed whole', () => {
    const ends = new SubjectHeads(10)
    expect(ends.take([entry(11, 9), entry(12, 0, false, 'in.c'), entry(13, 11), entry(14, 13, true)])).toBeUndefined()
    // And the next one follows on it.
    expect(ends.take([entry(15, 14), entry(16, 15, true)])).toBeUndefined()
  })

  it('of what came before the feed began is not needed whole', () => {
    expect(new SubjectHeads(10).take([entry(11, 10, true)])).toBeUndefined()
  })

  it('of entries that were gone before they came is needed whole', () => {
    const ends = new SubjectHeads(10)
    ends.take([entry(11, 0)])
    const [other, rollup] = [entry(19, 0, false, 'run.b'), entry(20, 15, true)]
    expect(ends.take([other, rollup])).toEqual(new Set([rollup]))
    expect(ends.take([entry(21, 20), entry(22, 21, true)])).toBeUndefined()
  })

  it('of a subject that was never heard of, from after the beginning, is needed whole', () => {
    const rollup = entry(20, 15, true)
    expect(new SubjectHeads(10).take([rollup])).toEqual(new Set([rollup]))
  })

  it('of a subject that was forgotten is shown whole, and what is remembered has a bound', () => {
    const ends = new SubjectHeads(0)
    ends.take([entry(1, 0)])
    for (let other = 0; other < 2_000; other += 1) ends.take([entry(2 + other, 0, false, `run.${other}`)])
    const rollup = entry(5_000, 1, true)
    expect(ends.take([rollup])).toEqual(new Set([rollup]))
  })
})
