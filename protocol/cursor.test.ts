// Cursors: valid and invalid forms at the limits.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cursor, formatCursor, parseCursor } from './cursor.ts'

describe('a cursor', () => {
  it('is formatted as epoch, dot, sequence number', () => {
    expect(formatCursor('e1', 42)).toBe('e1.42')
  })

  it('is parsed to the position that was formatted', () => {
    const epoch = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
    fc.assert(
      fc.property(epoch, fc.maxSafeNat(), (name, seq) => {
        const text = formatCursor(name, seq)
        expect(parseCursor(text)).toEqual({ epoch: name, seq })
        expect(Cursor.parse(text)).toBe(text)
      }),
    )
  })

  it.each(['e.0', 'e.1', `e.${Number.MAX_SAFE_INTEGER}`, `${'e'.repeat(64)}.9007199254740991`])('may be %s', (text) => {
    expect(parseCursor(text)).toBeDefined()
    expect(Cursor.safeParse(text).success).toBe(true)
  })

  it.each([
    '',
    '.',
    'e',
    'e.',
    '.1',
    'e.-1',
    'e.01',
    'e.1.1',
    'e.1 ',
    ' e.1',
    'e.1\n',
    'e.1e3',
    'e.0x1',
    'e.1.5',
    'é.1',
    'e.١',
    'e.9007199254740992',
    'e.99999999999999999',
    `${'e'.repeat(65)}.1`,
    `e.${'1'.repeat(10_000)}`,
  ])('is not %j', (text) => {
    expect(parseCursor(text)).toBeUndefined()
    expect(Cursor.safeParse(text).success).toBe(false)
  })
})
