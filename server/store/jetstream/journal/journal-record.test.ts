// The format of journal records, and which waiting entries share one.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeRecord, entryBytes, type JournalEntry, readRecord, recordName, takeRecord } from './journal-record.ts'

const NAME = { journal: 'n_1-x', number: 42 }
const LIMITS = { entries: 5, bytes: 600 }

const name = fc.stringMatching(/^[!-~]{1,20}$/)
const entry: fc.Arbitrary<JournalEntry> = fc.record({
  session: fc.constantFrom('s0', 's1', 's2', 's3'),
  subject: name,
  base: fc.nat(),
  place: fc.nat(),
  time: fc.nat(),
  json: fc.string({ unit: 'binary', maxLength: 80 }).map((text) => JSON.stringify({ text })),
})

describe('a journal record', () => {
  it('is encoded to these bytes', () => {
    const first = { session: 's', subject: 'run.r', base: 7, place: 0, time: 17, json: '{"text":"a\\n\\té"}' }
    const record = encodeRecord(NAME, [first, { ...first, session: 't', place: 3 }])
    expect(record).toBe(
      '1\tn_1-x\t42\ns\trun.r\t7\t0\t17\t{"text":"a\\n\\té"}\nt\trun.r\t7\t3\t17\t{"text":"a\\n\\té"}',
    )
  })

  it('is read to what was encoded, and only for wanted sessions', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), fc.constantFrom('s0', 's1'), (entries, wanted) => {
        const text = encodeRecord(NAME, entries)
        const read: JournalEntry[] = []
        readRecord(
          text,
          9,
          (session) => session === wanted,
          ({ seq, ...found }) => {
            expect(seq).toBe(9)
            read.push(found)
          },
        )
        expect(read).toEqual(entries.filter(({ session }) => session === wanted))
        expect(recordName(text)).toEqual(NAME)
      }),
    )
  })

  it('throws on formats that it does not know', () => {
    const all = (text: string) => () =>
      readRecord(
        text,
        1,
        () => true,
        () => undefined,
      )
    expect(all('2\tn\t1\ns\tr\t1\t0\t1\t{}')).toThrow('unsupported format')
    expect(all('1\tn\t1\ns\tr\t1\t0')).toThrow('unknown format')
    expect(all('')).toThrow('unsupported format')
  })

  it('keeps its limits, takes a session once, and never lets entries of a session overtake each other', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), (entries) => {
        const stored: JournalEntry[] = []
        for (let waiting: readonly JournalEntry[] = entries; waiting.length > 0; ) {
          const { record, rest } = takeRecord(waiting, LIMITS)
          const text = encodeRecord(NAME, record)
          expect(record.length).toBeGreaterThan(0)
          expect(record.length).toBeLessThanOrEqual(LIMITS.entries)
          expect(new Set(record.map(({ session }) => session)).size).toBe(record.length)
          if (record.length > 1) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LIMITS.bytes)
          else expect(Buffer.byteLength(text)).toBeLessThanOrEqual(entryBytes(record[0] as JournalEntry) + 64)
          stored.push(...record)
          waiting = rest
        }
        for (const session of ['s0', 's1', 's2', 's3']) {
          const of = (all: readonly JournalEntry[]) => all.filter((one) => one.session === session)
          expect(of(stored)).toEqual(of(entries))
        }
      }),
    )
  })
})
