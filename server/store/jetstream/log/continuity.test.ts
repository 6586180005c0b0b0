// Which entries are next, seen, late or after a gap, and what a rollup replaces.
import { describe, expect, it } from 'vitest'
import { Entry } from '../../ports/entry.ts'
import { Continuity } from './continuity.ts'
import { CacheBudget, type RecentEntries } from './recent-entries.ts'

function entry(seq: number, prev: number, { subject = 'run.a', rollup = false } = {}): Entry {
  return new Entry({ seq, prev, subject, time: 0, rollup, json: '{}' })
}

/** A session with floor 10 and these delivered entries. */
function after(...entries: Entry[]): { continuity: Continuity; recent: RecentEntries } {
  const recent = new CacheBudget().open(10)
  const continuity = new Continuity(recent)
  for (const each of entries) {
    recent.add([each], each.seq)
    continuity.delivered(each)
  }
  return { continuity, recent }
}

describe('an entry', () => {
  it('is next if its predecessor on the subject was delivered or does not exist', () => {
    const { continuity } = after(entry(12, 0))
    expect(continuity.judge(entry(15, 12), 12)).toBe('next')
    expect(continuity.judge(entry(15, 0, { subject: 'in.c' }), 12)).toBe('next')
    // Entries up to the floor count as delivered.
    expect(continuity.judge(entry(15, 9, { subject: 'run.b' }), 12)).toBe('next')
  })

  it('has a gap before it if its predecessor was skipped', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judge(entry(25, 14), 20)).toBe('gap')
  })

  it('needs no predecessor if it is a rollup', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judge(entry(25, 14, { rollup: true }), 20)).toBe('next')
  })

  it('is seen if it was delivered before, or if a rollup replaced it', () => {
    const { continuity } = after(entry(12, 0), entry(14, 12, { rollup: true }))
    expect(continuity.judge(entry(14, 12), 14)).toBe('seen')
    expect(continuity.judge(entry(12, 0), 14)).toBe('seen')
    expect(continuity.judge(entry(7, 0), 14)).toBe('seen')
  })

  it('is late if it was skipped', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judge(entry(14, 12), 20)).toBe('late')
  })
})

describe('a run that was compacted before it was read', () => {
  it('is delivered again from its rollup on', () => {
    const { continuity, recent } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    const read = { from: 12, to: 20 }
    expect(continuity.judgeRead(entry(25, 14), 20, read)).toBe('seen')
    expect(continuity.judge(entry(26, 25), 25)).toBe('seen')
    expect(continuity.judge(entry(14, 12), 25)).toBe('seen')
    expect(continuity.judge(entry(27, 0, { subject: 'in.d' }), 26)).toBe('next')
    const rollup = entry(30, 26, { rollup: true })
    expect(continuity.judge(rollup, 27)).toBe('next')
    recent.add([rollup], 30)
    continuity.delivered(rollup)
    expect(continuity.judge(entry(31, 30), 30)).toBe('next')
  })

  it('is recognized only within the range that was read', () => {
    const { continuity } = after(entry(12, 0), entry(20, 0, { subject: 'in.c' }))
    expect(continuity.judgeRead(entry(25, 14), 20, { from: 14, to: 20 })).toBe('gap')
    expect(continuity.judgeRead(entry(14, 12), 20, { from: 14, to: 20 })).toBe('late')
    expect(continuity.judgeRead(entry(14, 12), 20, { from: 13, to: 20 })).toBe('seen')
  })
})
