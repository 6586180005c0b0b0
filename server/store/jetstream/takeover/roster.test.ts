// Rosters: what a node announces, and what others know of it after lost messages.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAck } from '../queue/ack-subject.ts'
import { ROSTER_MAX, ROWS_OF_A_SIGN, Roster, RosterCopy } from './roster.ts'
import { encodeSign, parseSign, type Sign } from './sign.ts'

const reply = (message: number, attempt = 1) =>
  `$JS.ACK.RUNS.owners.${attempt}.${message}.${message}.1764684000000000000.0`

describe('acknowledgement subjects', () => {
  it('are read with and without a domain', () => {
    expect(parseAck(reply(17, 3))).toEqual({ consumer: 'RUNS.owners', message: 17, attempt: 3 })
    const withDomain = '$JS.ACK.hub.ACCHASH.RUNS.owners.2.9.12.1764684000000000000.0.random'
    expect(parseAck(withDomain)).toEqual({ consumer: 'RUNS.owners', message: 9, attempt: 2 })
  })

  it('are nothing else', () => {
    for (const foreign of [
      '$JS.API.CONSUMER.MSG.NEXT.RUNS.owners.1.2.3',
      `${reply(17)} x`,
      `${reply(17)}\r\nPUB x 0`,
      reply(17).replace('owners', '*'),
      reply(17).replace('owners', '>'),
      reply(0),
      reply(17, 1.5),
      '$JS.ACK',
      '',
    ])
      expect(parseAck(foreign)).toBeUndefined()
  })
})

describe('a copy of a roster', () => {
  it('is complete and equal after a whole roster, whatever messages were lost before', () => {
    const change = fc.record({
      message: fc.integer({ min: 1, max: 30 }),
      attempt: fc.integer({ min: 1, max: 3 }),
      does: fc.constantFrom('took', 'left', 'send', 'lose', 'whole'),
    })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
        const [own, copy] = [new Roster(), new RosterCopy()]
        const send = (arrives = true): void => {
          const changes = own.changes()
          if (arrives) copy.apply(own.news, changes)
        }
        const sendWhole = (): void => {
          for (const part of own.whole()) copy.applyWhole(own.news, part)
        }
        sendWhole()
        for (const { message, attempt, does } of changes) {
          if (does === 'took') own.took(reply(message, attempt))
          else if (does === 'left') own.left(reply(message, attempt))
          else if (does === 'whole') sendWhole()
          else send(does === 'send')
          // A lost message shows with the next one.
          if (does === 'send' && copy.isComplete) for (const [id, row] of copy.rows) expect(own.get(id)).toEqual(row)
        }
        send()
        // A sign of life without news shows that earlier news was lost.
        send()
        if (!copy.isComplete) sendWhole()
        expect(copy.isComplete).toBe(true)
        expect(copy.rows.size).toBe(own.size)
        for (const [id, row] of copy.rows) expect(own.get(id)).toEqual(row)
      }),
    )
  })

  it('is complete only with all parts of a whole roster, in order', () => {
    const own = new Roster()
    for (let message = 1; message <= ROWS_OF_A_SIGN * 2 + 1; message += 1) own.took(reply(message))
    const [first, second, third] = own.whole()
    if (first === undefined || second === undefined || third === undefined) throw new Error('too few parts')
    const copy = new RosterCopy()
    for (const part of [first, third, second]) copy.applyWhole(3, part)
    expect(copy.isComplete).toBe(false)
    for (const part of [first, second, third]) copy.applyWhole(3, part)
    expect(copy.isComplete).toBe(true)
    expect(copy.rows.size).toBe(own.size)
    copy.apply(3, { took: [], left: [] })
    copy.apply(4, { took: [], left: [1] })
    expect(copy.isComplete).toBe(true)
    copy.apply(6, { took: [], left: [2] })
    expect(copy.isComplete).toBe(false)
  })

  it('of 2,000 runs needs messages of less than 100 kB, and no node announces more than the limit', () => {
    const own = new Roster()
    for (let message = 1; message <= ROSTER_MAX + 10; message += 1) own.took(reply(message))
    expect(own.size).toBe(ROSTER_MAX)
    const { took, left } = own.changes()
    expect(took.length).toBe(ROWS_OF_A_SIGN)
    const sign: Sign = { node: 'n', number: 1, news: 1, server: 's', took, left, bye: false }
    expect(encodeSign(sign).length).toBeLessThan(100_000)
    expect(parseSign(JSON.parse(encodeSign(sign)))).toEqual(sign)
  })
})

describe('a sign of life', () => {
  it('without news is small', () => {
    const sign: Sign = {
      node: 'abcdefghijkl',
      number: 123_456,
      news: 123_456,
      server: 'N'.repeat(56),
      took: [],
      left: [],
      bye: false,
    }
    expect(encodeSign(sign).length).toBeLessThan(180)
    expect(parseSign(JSON.parse(encodeSign(sign)))).toEqual(sign)
  })

  it('of another program is ignored', () => {
    for (const foreign of [
      undefined,
      null,
      7,
      'x',
      [],
      {},
      { node: 'n', number: -1, news: 0, server: 's' },
      { node: '', number: 1, news: 0, server: '' },
      { node: 'n\r\nPUB x 0', number: 1, news: 0, server: '' },
      { node: 'n.>', number: 1, news: 0, server: '' },
    ])
      expect(parseSign(foreign)).toBeUndefined()
  })
})
