import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatTraceparent, parseTraceparent, Traceparent } from './trace.ts'

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })

describe('a trace context', () => {
  it('is parsed from its formatted text', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.nat(255), (traceId, spanId, flags) => {
        fc.pre(/[1-9a-f]/.test(traceId) && /[1-9a-f]/.test(spanId))
        const text = formatTraceparent({ traceId, spanId, flags })
        expect(parseTraceparent(text)).toEqual({ traceId, spanId, flags })
        expect(Traceparent.safeParse(text).success).toBe(true)
      }),
    )
  })

  it('is parsed from a later version, which may have more parts', () => {
    const parts = `${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const context = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: 1 }
    expect(parseTraceparent(`cc-${parts}-what-comes`)).toEqual(context)
    expect(parseTraceparent(`cc-${parts}`)).toEqual(context)
  })

  it.each([
    ['nothing', undefined],
    ['an empty string', ''],
    ['another format', 'b3=0af7651916cd43dd8448eb211c80319c'],
    ['upper case', `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`],
    ['a span id of zeros', `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`],
    ['the invalid version ff', `ff-${'a'.repeat(32)}-${'b'.repeat(16)}-01`],
    ['version 00 with more parts', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-more`],
    ['a later version without a separator', `cc-${'a'.repeat(32)}-${'b'.repeat(16)}-01more`],
    ['a trailing line break', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01\n`],
  ])('is not parsed from %s', (_, text) => {
    expect(parseTraceparent(text)).toBeUndefined()
  })
})
