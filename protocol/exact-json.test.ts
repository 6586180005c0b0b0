import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { codecs } from './codec.ts'
import {
  ExactNumber,
  markNumbers,
  parseJson,
  restoreNumbers,
  roundNumbers,
  safeParseExact,
  stringifyJson,
  withMarkedNumbers,
} from './exact-json.ts'
import { wellFormed } from './well-formed.ts'

const BIG = '12345678901234567890'
const KEPT = [BIG, '-9007199254740993', '0.12345678901234567890', '1234567890.1234567890', '1e400', `${BIG}e2`]
const ORDINARY = ['9007199254740991', '-0', '1.0', '0.1', '0.30000000000000004', '1e21', '5e-324', '1764622884000']

describe('exact JSON', () => {
  it.each(KEPT)('keeps %s, which JSON.parse rounds', (source) => {
    const text = `{"a":[${source},"x"],"b":{"c":${source}}}`
    expect(stringifyJson(parseJson(text))).toBe(text)
    expect(stringifyJson({ a: wellFormed(parseJson(`[ ${source} ]`)) })).toBe(`{"a":[${source}]}`)
    expect(roundNumbers(parseJson(text))).toEqual(JSON.parse(text))
  })

  it.each(ORDINARY)('reads %s as a number', (source) => {
    expect(parseJson(`[${source}]`)).toEqual([Number(source)])
  })

  it('changes no digits in strings and keys, whatever precedes them', () => {
    const text = `{"${BIG}":"${BIG}","a\\"":"\\"${BIG}\\\\","b":[${BIG}]}`
    expect(stringifyJson(parseJson(text))).toBe(text)
  })

  it.each([
    `{${BIG}:1}`,
    `{"a":1,${BIG} \n:1}`,
    `[0${BIG}]`,
    `[-]${BIG}`,
    `[${BIG}.]`,
    `[1.${BIG}e]`,
    `[true${BIG}]`,
    `[${BIG} ${BIG}]`,
    `[${BIG}"a"]`,
    `["${BIG}`,
    `[${BIG}`,
  ])('refuses %j like JSON.parse', (text) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError)
    expect(() => parseJson(text)).toThrow(SyntaxError)
  })

  it('takes time in proportion to the text, whatever it contains', () => {
    const text = `{"a":${BIG},"b":"${'\\\\'.repeat(40_000)}"}`
    const began = performance.now()
    expect(stringifyJson(parseJson(text))).toBe(text)
    expect(new ExactNumber('9'.repeat(1_000_000)).toMsgpack()).toBe(Number.POSITIVE_INFINITY)
    // 20 s before: each backslash of the text began a search to its end.
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('equals JSON.parse and JSON.stringify for all other values', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(roundNumbers(parseJson(text))).toEqual(JSON.parse(text))
        expect(stringifyJson(JSON.parse(text))).toBe(JSON.stringify(JSON.parse(text)))
      }),
    )
    expect(Object.keys(parseJson(`{"__proto__":{"a":${BIG}}}`) as object)).toEqual(['__proto__'])
  })

  it('passes through code that parses and writes JSON, also in JSON within strings', () => {
    const rewritten = JSON.stringify(JSON.parse(markNumbers(`{"a":${BIG}}`)))
    expect(rewritten).not.toContain(`"a":${BIG}`)
    expect(restoreNumbers(rewritten)).toBe(`{"a":${BIG}}`)
    const input = parseJson(`{"a":${BIG}}`)
    const nested = JSON.stringify({
      input: withMarkedNumbers(input),
      arguments: JSON.stringify(withMarkedNumbers(input)),
    })
    expect(restoreNumbers(nested)).toBe(`{"input":{"a":${BIG}},"arguments":"{\\"a\\":${BIG}}"}`)
    expect(JSON.stringify(input)).toBe('{"a":12345678901234567000}')
  })

  it('writes digits after backslashes and quotes of any text', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('\\', '"', 'a', ':', '1')), (parts) => {
        const json = `{"a":${JSON.stringify(parts.join(''))},"b":[${BIG},${JSON.stringify(parts.join(''))},${BIG}]}`
        expect(stringifyJson(parseJson(json))).toBe(json)
        const inner = JSON.stringify({ inner: JSON.stringify(withMarkedNumbers(parseJson(json))) })
        expect(JSON.parse(restoreNumbers(inner))).toEqual({ inner: json })
      }),
    )
    expect(JSON.stringify(new ExactNumber(BIG))).toBe('12345678901234567000')
  })

  it('rounds where a schema has a number, and keeps digits where it has anything', () => {
    const schema = z.object({ t: z.number(), any: z.unknown() })
    expect(safeParseExact(schema, parseJson(`{"t":1,"any":${BIG}}`)).data?.any).toBeInstanceOf(ExactNumber)
    expect(safeParseExact(schema, parseJson('{"t":0.69999999999999995559,"any":1}')).data?.t).toBe(0.7)
    expect(safeParseExact(schema, parseJson(`{"t":"x","any":${BIG}}`)).success).toBe(false)
  })

  it('reads 16 MiB with such a number in linear time, because it may come from anyone', () => {
    const text = JSON.stringify({ file: '3e123/ab\\'.repeat(1_800_000) })
    const started = performance.now()
    const value = parseJson(`[${text},${BIG}]`) as unknown[]
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(value[1]).toBeInstanceOf(ExactNumber)
  })

  it('reads such a number after any number of escapes', () => {
    // A regular expression for strings ran out of stack, and the text counted as invalid.
    const escapes = '\n'.repeat(8_000_000)
    expect(parseJson(`[${JSON.stringify(escapes)},${BIG}]`)).toEqual([escapes, new ExactNumber(BIG)])
  })
})

describe('codecs with exact numbers', () => {
  it('carry 64-bit integers in both codecs, and round only what MessagePack cannot hold', () => {
    for (const source of [BIG, '-9223372036854775808', '18446744073709551615']) {
      const value = { a: new ExactNumber(source) }
      const data = codecs.msgpack.encode(value)
      expect(codecs.msgpack.decode(data, { exact: true })).toEqual(value)
      expect(codecs.msgpack.decode(data)).toEqual({ a: Number(source) })
      expect(codecs.json.decode(`{"a":${source}}`, { exact: true })).toEqual(value)
    }
    const beyond = codecs.msgpack.encode(new ExactNumber('18446744073709551616'))
    expect(codecs.msgpack.decode(beyond)).toBe(2 ** 64)
  })

  it('leave numbers beyond 32 bits numbers where text is only made well-formed', () => {
    expect(wellFormed({ at: 1764622884000, text: '\ud83d' })).toEqual({ at: 1764622884000, text: '\ufffd' })
  })
})
