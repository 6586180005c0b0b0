// The format of entries in messages, and of session and subject names in NATS subjects.
import { describe, expect, it } from 'vitest'
import { decodeLine, encodeLine, joinParts, LogSubjects } from './record.ts'

const line = {
  prev: 7,
  time: 1_700_000_000_000,
  rollup: true,
  known: 9,
  id: 'n1',
  json: '{"text":"a\\tb\\u0000é"}',
  parts: undefined,
}
const bytes = (text: string): Uint8Array => Buffer.from(text)

describe('a line', () => {
  it('is encoded to these bytes', () => {
    expect(encodeLine(line)).toBe('1\t7\t1700000000000\t1\t9\tn1\t{"text":"a\\tb\\u0000é"}')
    expect(encodeLine({ ...line, known: 7, rollup: false })).toBe(
      '1\t7\t1700000000000\t0\t\tn1\t{"text":"a\\tb\\u0000é"}',
    )
    expect(encodeLine({ ...line, parts: [3, 4] })).toBe('2\t7\t1700000000000\t1\t9\tn1\t3,4')
  })

  it('is decoded to what was encoded', () => {
    const { entry, known, id, parts } = decodeLine('run.r', 12, bytes(encodeLine(line)))
    expect({ ...line, seq: 12, subject: 'run.r' }).toMatchObject({ ...entry })
    expect([known, id, parts]).toEqual([9, 'n1', undefined])
  })

  it('is joined from parts that were split anywhere', () => {
    const stored = decodeLine('run.r', 12, bytes(encodeLine({ ...line, parts: [3, 4] })))
    expect(stored.parts).toEqual([3, 4])
    const json = bytes(line.json)
    const cut = json.length - 3
    expect(joinParts(stored, [json.subarray(0, cut), json.subarray(cut)]).entry.json).toBe(line.json)
  })

  it.each(['', 'nothing', '9\t7\t1\t0\t\tn\t{}'])('of another format is rejected: %j', (text) => {
    expect(() => decodeLine('run.r', 1, bytes(text))).toThrow()
  })
})

describe('NATS subjects', () => {
  const subjects = new LogSubjects({ log: 'p.log', live: 'p.live' })

  it('contain plain names unchanged', () => {
    expect(subjects.stored('s-1', 'run.r_1')).toBe('p.log.s-1.run.r_1')
    expect(subjects.liveAll('s-1')).toBe('p.live.s-1.>')
  })

  it.each([
    ['a.b', 'run.a.b'],
    ['*', '>'],
    ['s>', 'in.*'],
    ['%2e', 'in.%'],
    ['..', '.in.'],
    ['$JS', 'in..x'],
    ['a/b:c@d', 'in.~'],
  ])('encode and decode any session and subject: %s, %s', (session, subject) => {
    const stored = subjects.stored(session, subject)
    expect(stored).toMatch(/^p\.log\.[A-Za-z0-9_%-]+(\.[A-Za-z0-9_%-]+)+$/)
    expect(subjects.ofStored(stored)).toEqual({ session, subject })
    expect(subjects.ofLive(subjects.live(session, subject))).toEqual({ session, subject })
  })

  it('distinguish a part from any subject', () => {
    expect(subjects.ofStored(subjects.part('s', 'n1', 0))).toEqual({ session: 's', subject: undefined })
    expect(subjects.ofStored(subjects.stored('s', '%part.n1.0'))).toEqual({ session: 's', subject: '%part.n1.0' })
  })
})
