// What follows on what was handed out, what is missing, and what a roll-up stands for.
import { describe, expect, it } from 'vitest'
import { Entry } from '../../ports/entry.ts'
import { Continuity } from './continuity.ts'
import { CacheBudget, type RecentEntries } from './recent-entries.ts'

function entry(seq: number, prev: number, { subject = 'run.a', rollup = false } = {}): Entry {
  return new Entry({ seq, prev, subject, time: 0, rollup, json: '{}' })
}

/** After 10, with what was handed out since. */
function after(...entries: Entry[]): { continuity: Continuity; recent: RecentEntries } {
  const recent = new CacheBudget().open(10)
  const continuity = new Continuity(recent)
  for (const each of entries) {
    recent.add([each], each.seq)
    continuity.took(each)
  }
  return { continuity, recent }
}

describe('an entry', () => {
  it('is next when the one before it on its subject was handed out, or there was none', () => {
    const { continuity } = after(entry(12, 0))
    expect(continuity.judge(entry(15, 12), 12)).toBe('next')
    expect(continuity.judge(entry(15, 0, { subject: 'in.c' }), 12)).toBe('next')
    // Before the floor nothing is doubted.
    expect(continuity.judge(entry(15, 9, { subject: 'run.b' }), 12)).toBe('next')
  })

  it('has a gap before it when the one before was passed over', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judge(entry(25, 14), 20)).toBe('gap')
  })

  it('needs none before it when it is a roll-up', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judge(entry(25, 14, { rollup: true }), 20)).toBe('next')
  })

  it('that comes again was had, and so was one for which a roll-up stands', () => {
    const { continuity } = after(entry(12, 0), entry(14, 12, { rollup: true }))
    expect(continuity.judge(entry(14, 12), 14)).toBe('had')
    expect(continuity.judge(entry(12, 0), 14)).toBe('had')
    expect(continuity.judge(entry(7, 0), 14)).toBe('had')
  })

  it('that was passed over is late', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judge(entry(14, 12), 20)).toBe('late')
  })
})

describe('a run that the log has no more', () => {
  it('is handed out again from the roll-up that stands for it', () => {
    const { continuity, recent } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    const read = { from: 12, to: 20 }
    expect(continuity.judgeRead(entry(25, 14), 20, read)).toBe('had')
    expect(continuity.judge(entry(26, 25), 25)).toBe('had')
    expect(continuity.judge(entry(14, 12), 25)).toBe('had')
    expect(continuity.judge(entry(27, 0, { subject: 'in.d' }), 26)).toBe('next')
    const rollup = entry(30, 26, { rollup: true })
    expect(continuity.judge(rollup, 27)).toBe('next')
    recent.add([rollup], 30)
    continuity.took(rollup)
    expect(continuity.judge(entry(31, 30), 30)).toBe('next')
  })

  it('is one only where the log was read', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judgeRead(entry(25, 14), 20, { from: 14, to: 20 })).toBe('gap')
    expect(continuity.judgeRead(entry(14, 12), 20, { from: 14, to: 20 })).toBe('late')
    expect(continuity.judgeRead(entry(14, 12), 20, { from: 13, to: 20 })).toBe('had')
  })
})
