// The scanner of JSON text: where strings end, and how many values a text contains.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { endOfString, jsonSize } from './json-scan.ts'

/** Strings that end late, and runs of backslashes before quotes. */
const chars = fc
  .array(fc.tuple(fc.constantFrom('\\', '"', 'a', '中', '\n'), fc.integer({ min: 1, max: 150 })), { maxLength: 8 })
  .map((runs) => runs.map(([char, count]) => char.repeat(count)).join(''))

const NONE = { maxDepth: Number.POSITIVE_INFINITY, maxValues: Number.POSITIVE_INFINITY }

function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value))
    return Math.max(1, value.length) + value.reduce<number>((sum, one) => sum + valuesIn(one), 0)
  const keys = Object.keys(value).reduce((sum, key) => sum + 3 + Math.floor((JSON.stringify(key).length - 2) / 32), 0)
  return Math.max(1, keys) + Object.values(value).reduce<number>((sum, one) => sum + valuesIn(one), 0)
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

describe('a string in JSON', () => {
  it('ends where JSON says, whatever it contains', () => {
    fc.assert(
      fc.property(chars, chars, (text, after) => {
        const string = JSON.stringify(text)
        expect(endOfString(`[${string},"${after}`, 1)).toBe(1 + string.length)
        expect(endOfString(string.slice(0, -1), 0)).toBe(string.length - 1)
      }),
    )
  })
})

describe('the size of a text', () => {
  it('is that of its value', () => {
    const value = fc.oneof(fc.jsonValue({ maxDepth: 8 }), fc.array(chars)).filter((one) => !Object.is(one, -0))
    fc.assert(
      fc.property(value, (one) => {
        const json = JSON.stringify([one])
        const [values, depth] = [valuesIn([one]), depthOf([one])]
        expect(jsonSize(json, NONE)).toEqual({ depth, values })
        expect(jsonSize(json, { ...NONE, maxValues: values - 1 }).values).toBe(values)
        expect(jsonSize(json, { ...NONE, maxDepth: depth - 1 }).depth).toBe(depth)
      }),
    )
  })

  // 16 MiB of them took up to half a second, in which the server answered nobody.
  it('counts long keys, numbers and white space as several values', () => {
    expect(jsonSize(`{"${'k'.repeat(31)}":1}`, NONE).values).toBe(3)
    expect(jsonSize(`{"${'k'.repeat(320)}":1}`, NONE).values).toBe(13)
    expect(jsonSize(`["${'k'.repeat(320)}",${'9'.repeat(31)}]`, NONE).values).toBe(2)
    expect(jsonSize(`[1,${'9'.repeat(320)}]`, NONE).values).toBe(12)
    expect(jsonSize(`[1,${' '.repeat(320)}9${' '.repeat(320)}]`, NONE).values).toBe(22)
    expect(jsonSize(' '.repeat(1_000_000), { ...NONE, maxValues: 100 }).values).toBe(101)
  })

  it('is known of invalid JSON', () => {
    expect(jsonSize('['.repeat(1_000), { maxDepth: 64, maxValues: 999 })).toEqual({ depth: 65, values: 65 })
    expect(jsonSize(',"'.repeat(1_000), { maxDepth: 64, maxValues: 499 })).toEqual({ depth: 0, values: 500 })
    expect(jsonSize(':'.repeat(1_000), NONE)).toEqual({ depth: 0, values: 2_000 })
    expect(jsonSize(']'.repeat(1_000), { maxDepth: 64, maxValues: 10 })).toEqual({ depth: 0, values: 0 })
  })
})
