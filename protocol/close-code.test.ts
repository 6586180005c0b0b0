// Close codes: numbers, whether to reconnect, and reasons that fit a close frame.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLOSE, CLOSE_REASON_MAX_BYTES, cutToBytes, Disconnect, mayReconnect } from './close-code.ts'

const size = (text: string) => new TextEncoder().encode(text).length

describe('close codes', () => {
  it('are unchanged', () => {
    expect(Object.fromEntries(Object.entries(CLOSE).map(([name, rule]) => [name, rule.code]))).toEqual({
      badFrame: 4400,
      notAuthenticated: 4401,
      forbidden: 4403,
      noHello: 4408,
      frameTooLarge: 4413,
      tooManyCommands: 4429,
      internal: 4500,
      goingAway: 4503,
      tooSlow: 4508,
    })
  })

  it.each([
    [4400, false],
    [4429, false],
    [4499, false],
    [4399, true],
    [4500, true],
    [4508, true],
    [4599, true],
    [1000, true],
    [1006, true],
  ])('%d: reconnect is %s', (code, expected) => {
    expect(mayReconnect(code)).toBe(expected)
  })
})

describe('Disconnect', () => {
  it('has a code and a reason', () => {
    expect(new Disconnect('tooSlow')).toMatchObject({ code: 4508, reason: 'too slow for too long' })
    expect(new Disconnect('badFrame', 'not JSON')).toMatchObject({ code: 4400, reason: 'bad frame: not JSON' })
  })

  it('cuts a reason at 123 bytes, between characters', () => {
    expect(new Disconnect('badFrame', 'a'.repeat(112)).reason).toHaveLength(123)
    expect(new Disconnect('badFrame', 'a'.repeat(113)).reason).toHaveLength(123)
    const balloons = new Disconnect('badFrame', '🎈'.repeat(100)).reason
    expect(balloons).toBe(`bad frame: ${'🎈'.repeat(28)}`)
    expect(size(balloons)).toBe(123)
    expect(size(new Disconnect('badFrame', `x${'🎈'.repeat(100)}`).reason)).toBe(120)
  })

  it('never splits a character, and cuts no more than necessary', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.nat({ max: 200 }), (text, max) => {
        const cut = cutToBytes(text, max)
        expect(text.startsWith(cut)).toBe(true)
        expect(size(cut)).toBeLessThanOrEqual(max)
        const next = [...text.slice(cut.length)][0]
        if (next !== undefined) expect(size(cut + next)).toBeGreaterThan(max)
      }),
    )
    expect(CLOSE_REASON_MAX_BYTES).toBe(123)
  })
})
