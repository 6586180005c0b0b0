// Codecs: both carry the same values, and decoding is strict.
import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { codecs } from './codec.ts'
import { ExactNumber, stringifyJson, TooManyValuesError } from './exact-json.ts'
import { LIMITS } from './limits.ts'

const { json, msgpack } = codecs
// By default, msgpackr decodes 64-bit integers to bigints.
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' })
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const hexOf = (value: unknown) => Buffer.from(msgpack.encode(value) as Uint8Array).toString('hex')
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const nestedBytes = (depth: number) => new Uint8Array([...new Array<number>(depth - 1).fill(0x91), 0x90])

describe('both codecs', () => {
  it('decode every JSON value that they encoded', () => {
    // JSON changes only one number: -0 becomes 0.
    const value = fc.jsonValue({ noUnicodeString: false, maxDepth: 8 }).map((it) => JSON.parse(JSON.stringify(it)))
    fc.assert(
      fc.property(value, (it) => {
        expect(json.decode(json.encode(it))).toEqual(it)
        expect(msgpack.decode(msgpack.encode(it))).toEqual(it)
        // msgpackr renames the key __proto__ when it decodes.
        if (!JSON.stringify(it).includes('__proto__'))
          expect(unpackr.unpack(Buffer.from(msgpack.encode(it) as Uint8Array))).toEqual(it)
      }),
    )
  })

  // 16 MiB of brackets took JSON.parse and its schema some seconds, in which the server answered nobody.
  it('decode at most as many keys and values as their caller allows, and count them in the same way', () => {
    const sizes: [value: unknown, size: number][] = [
      ['a,b:c[d{e"f\\,', 0],
      [[1, ['\\"', ','], {}, []], 8],
      [{ ',': 'x', b: { c: 1 }, d: null }, 12],
      [{ ['k'.repeat(100)]: [123456789012345, -1.5] }, 8],
      [[new ExactNumber('12345678901234567890'), new ExactNumber('-9223372036854775808')], 18],
      [Array<number>(1_000).fill(0), 1_000],
      [Array<object>(1_000).fill({}), 2_000],
    ]
    for (const [value, size] of sizes) {
      // Long enough to be counted.
      const padded = [value, 'x'.repeat(2_000)]
      for (const codec of [json, msgpack]) {
        const data = codec === json ? stringifyJson(padded) : codec.encode(padded)
        expect(codec.decode(data, { maxValues: size + 2, exact: true })).toEqual(padded)
        expect(() => codec.decode(data, { maxValues: size + 1, exact: true })).toThrow(TooManyValuesError)
      }
    }
    expect(() => json.decode('['.repeat(1_000), { maxValues: 999, maxDepth: 1_000 })).toThrow(TooManyValuesError)
  })

  it('encode values that JSON cannot represent in the same way', () => {
    const value = {
      gone: undefined,
      call: () => 1,
      list: [undefined, Number.NaN, Number.POSITIVE_INFINITY],
      at: new Date(0),
      map: new Map([['a', 1]]),
      deep: { keep: 1, gone: undefined, list: [{ gone: undefined, keep: 2 }] },
      bare: Object.assign(Object.create(null) as object, { a: 1 }),
    }
    const expected = JSON.parse(JSON.stringify(value))
    expect(json.decode(json.encode(value))).toEqual(expected)
    expect(msgpack.decode(msgpack.encode(value))).toEqual(expected)
    expect(Object.keys(msgpack.decode(msgpack.encode(value)) as object)).toEqual(Object.keys(expected as object))
  })

  it('reject a bigint', () => {
    expect(() => json.encode({ n: 1n })).toThrow(TypeError)
    expect(() => msgpack.encode({ n: 1n })).toThrow(TypeError)
  })

  it('accept nesting up to the limit', () => {
    expect(json.decode(nested(LIMITS.depth))).toBeInstanceOf(Array)
    expect(msgpack.decode(nestedBytes(LIMITS.depth))).toBeInstanceOf(Array)
    expect(() => json.decode(nested(LIMITS.depth + 1))).toThrow(SyntaxError)
    expect(() => msgpack.decode(nestedBytes(LIMITS.depth + 1))).toThrow(SyntaxError)
    for (const depth of [1_000, 100_000]) {
      expect(() => json.decode(nested(depth))).toThrow(SyntaxError)
      expect(() => msgpack.decode(nestedBytes(depth))).toThrow(SyntaxError)
    }
  })

  it('throw only SyntaxError for any input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        for (const codec of [json, msgpack]) {
          try {
            codec.decode(data)
          } catch (error) {
            expect(error).toBeInstanceOf(SyntaxError)
          }
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('never set a prototype by a key named __proto__', () => {
    const evil = bytes('81 a9 5f5f70726f746f5f5f 81 a8 706f6c6c75746564 c3')
    for (const value of [json.decode('{"__proto__":{"polluted":true}}'), msgpack.decode(evil)]) {
      expect(Object.keys(value as object)).toEqual(['__proto__'])
      expect((value as { polluted?: boolean }).polluted).toBeUndefined()
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it('keep the last of equal keys', () => {
    expect(json.decode('{"a":1,"a":2}')).toEqual({ a: 2 })
    expect(msgpack.decode(bytes('82 a161 01 a161 02'))).toEqual({ a: 2 })
  })
})

describe('the JSON codec', () => {
  it.each([
    ['ill-formed UTF-8', bytes('22 ff 22')],
    ['a truncated character', bytes('22 f0 9f 8e 22')],
    ['nothing', ''],
    ['two values', '{} {}'],
    ['a truncated value', '{"type":'],
  ])('refuses %s', (_, data) => {
    expect(() => json.decode(data)).toThrow(SyntaxError)
  })
})

describe('the MessagePack codec', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65_535, 'cdffff'],
    [65_536, 'ce00010000'],
    [4_294_967_295, 'ceffffffff'],
    [4_294_967_296, 'd30000000100000000'],
    [1_767_225_600_000, 'd30000019b76daa800'],
    [Number.MAX_SAFE_INTEGER, 'd3001fffffffffffff'],
    [2 ** 53, 'cb4340000000000000'],
    [-1, 'ff'],
    [-32, 'e0'],
    [-33, 'd0df'],
    [-2_147_483_648, 'd280000000'],
    [-2_147_483_649, 'd3ffffffff7fffffff'],
    [Number.MIN_SAFE_INTEGER, 'd3ffe0000000000001'],
    [0.1, 'cb3fb999999999999a'],
    // Times were float64, which Go (vmihailenco) and Rust (rmp-serde) refuse to decode into an integer field.
  ])('writes whole numbers as integers, and others as float64: %d', (value, hex) => {
    expect(hexOf(value)).toBe(hex)
    expect(hexOf({ at: [value] }).slice(10)).toBe(hex)
    expect(msgpack.decode(bytes(hex))).toBe(value)
  })

  it('writes maps and arrays in their shortest form', () => {
    expect(hexOf({})).toBe('80')
    expect(hexOf([{ a: 1 }, { a: 2 }])).toBe('9281a1610181a16102')
    expect(hexOf(Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, 0]))).slice(0, 6)).toBe('de0010')
  })

  it('replaces a lone surrogate, which UTF-8 cannot encode, with U+FFFD', () => {
    for (const text of ['\ud83d', 'a\udf88b', `${'long '.repeat(20)}\ud83d`]) {
      expect(msgpack.decode(msgpack.encode({ text }))).toEqual({ text: text.replace(/[\ud800-\udfff]/, '\ufffd') })
    }
    expect(msgpack.decode(msgpack.encode('🎈'))).toBe('🎈')
  })

  it('reads the forms of other encoders', () => {
    expect(msgpack.decode(bytes('cf 0000019b77ede000'))).toBe(0x19b77ede000)
    expect(msgpack.decode(bytes('d3 ffffffffffffffff'))).toBe(-1)
    expect(msgpack.decode(bytes('ca 3f000000'))).toBe(0.5)
    expect(msgpack.decode(bytes('d9 01 61'))).toBe('a')
    expect(msgpack.decode(bytes('da 0001 61'))).toBe('a')
    expect(msgpack.decode(bytes('db 00000001 61'))).toBe('a')
    expect(msgpack.decode(bytes('dc 0001 c0'))).toEqual([null])
    expect(msgpack.decode(bytes('dd 00000001 c2'))).toEqual([false])
    expect(msgpack.decode(bytes('de 0001 a161 c3'))).toEqual({ a: true })
    expect(msgpack.decode(bytes('df 00000001 a161 d1ff7f'))).toEqual({ a: -129 })
  })

  it.each([
    ['nothing', ''],
    ['trailing bytes', '01 02'],
    ['an undefined type byte', 'c1'],
    ['ill-formed UTF-8', 'a1 ff'],
    ['ill-formed UTF-8 in a long string', `d9 20 ${'61'.repeat(31)} ff`],
    ['a surrogate in UTF-8', 'a3 eda080'],
    ['binary data', 'c4 01 00'],
    ['a date', 'd6 ff 00000000'],
    ['an extension type', 'c7 01 01 00'],
    ['another library’s encoding of undefined', 'd4 00 00'],
    ['a msgpackr record', 'd4 72 40'],
    ['a number as a key', '81 01 a161'],
    ['nil as a key', '81 c0 c0'],
    ['a truncated string', 'a5 61'],
    ['a truncated array', '92 01'],
    ['an array of 2 billion items', 'dd 7fffffff'],
    ['a map of 2 billion entries', 'df 7fffffff'],
    ['a string of 4 billion bytes', 'db ffffffff'],
  ])('refuses %s', (_, hex) => {
    expect(() => msgpack.decode(bytes(hex))).toThrow(SyntaxError)
  })

  it('refuses a frame that is truncated at any byte', () => {
    const whole = msgpack.encode({ type: 'send', id: 'c1', list: [1, 2.5, 'text', { a: null }] }) as Uint8Array
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => msgpack.decode(whole.subarray(0, length))).toThrow(SyntaxError)
    }
  })

  it('refuses text', () => {
    expect(() => msgpack.decode('{}')).toThrow(SyntaxError)
  })

  it('reads an ArrayBuffer, and a view into a larger one', () => {
    const data = new Uint8Array([9, 9, 0x81, 0xa1, 0x61, 0x01, 9])
    expect(msgpack.decode(data.subarray(2, 6))).toEqual({ a: 1 })
    expect(msgpack.decode(data.slice(2, 6).buffer)).toEqual({ a: 1 })
  })

  it('reads the plain maps of msgpackr, but not its records', () => {
    const records = new Packr({ useRecords: true })
    expect(() => msgpack.decode(records.pack({ a: 1 }))).toThrow(SyntaxError)
    expect(msgpack.decode(new Packr({ useRecords: false }).pack({ a: 1 }))).toEqual({ a: 1 })
  })
})
