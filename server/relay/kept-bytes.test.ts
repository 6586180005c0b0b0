// Bytes that are appended in any pieces are read from any offset as one text.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { KeptBytes } from './kept-bytes.ts'

it('returns the bytes from any offset, however they were appended', () => {
  const piece = fc.uint8Array({ minLength: 1, maxLength: 5_000 })
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.double({ min: 0, max: 1, noNaN: true }), (pieces, part) => {
      const whole = Buffer.concat(pieces)
      const kept = new KeptBytes()
      for (const bytes of pieces) kept.append(Buffer.from(bytes))
      const offset = Math.floor(whole.length * part)
      expect(Buffer.concat(kept.from(offset)).equals(whole.subarray(offset))).toBe(true)
      const dropped = kept.trim(offset)
      expect(dropped).toBeLessThanOrEqual(offset)
      expect([kept.start, kept.end, kept.length]).toEqual([dropped, whole.length, whole.length - dropped])
      kept.append(Buffer.from('more'))
      expect(Buffer.concat(kept.from(offset)).toString('latin1')).toBe(`${whole.toString('latin1', offset)}more`)
    }),
  )
})

it('does not change bytes that were read', () => {
  const kept = new KeptBytes()
  kept.append(Buffer.from('one '))
  const [read] = kept.from(0)
  kept.append(Buffer.from('two'))
  expect(read?.toString()).toBe('one ')
})

it('keeps small chunks in few buffers', () => {
  const kept = new KeptBytes()
  for (let chunk = 0; chunk < 2_000; chunk += 1) kept.append(Buffer.alloc(150))
  expect(kept.from(0).length).toBeLessThan(16)
})
