// Arbitraries of almost valid input: a valid value in which some places hold something else.
import fc from 'fast-check'

type Path = readonly (string | number)[]

const deep = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`)

const HOSTILE: readonly unknown[] = [
  null,
  true,
  '',
  '\u0000',
  '\ud800',
  '__proto__',
  '💩'.repeat(200),
  'x'.repeat(70_000),
  -1,
  0.5,
  1e308,
  2 ** 53 + 2,
  [],
  {},
  [null],
  deep(40),
  deep(200),
  Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`key${index}`, index])),
  { constructor: { prototype: 1 }, toString: 1, hasOwnProperty: null, length: -1 },
  { type: 'text' },
  '/demo tool=fuzzed input={"a":1} count=3 rate=0 ttft=0',
]

const hostile: fc.Arbitrary<unknown> = fc.oneof(fc.constantFrom(...HOSTILE), fc.jsonValue({ maxDepth: 4 }), fc.string())

/** The value with up to three places replaced, removed or added. */
export function mutated(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const edit = fc.tuple(fc.nat(), fc.constantFrom('replace', 'remove', 'add'), fc.string({ maxLength: 12 }), hostile)
  return fc.tuple(values, fc.array(edit, { maxLength: 3 })).map(([value, edits]) => {
    let changed: unknown = structuredClone(value)
    for (const [number, how, key, hostileValue] of edits) {
      const other: unknown = structuredClone(hostileValue)
      const places = [...pathsOf(changed)]
      const path = places[number % places.length] ?? []
      if (path.length === 0 && how !== 'add') changed = how === 'replace' ? other : undefined
      else apply(changed, path, how, key, other)
    }
    return changed
  })
}

function* pathsOf(value: unknown, path: Path = []): Generator<Path> {
  yield path
  if (typeof value !== 'object' || value === null || path.length > 8) return
  for (const [key, inner] of Object.entries(value).slice(0, 50)) yield* pathsOf(inner, [...path, key])
}

function apply(root: unknown, path: Path, how: string, key: string, other: unknown): void {
  let parent = root as Record<string | number, unknown>
  for (const step of path.slice(0, how === 'add' ? path.length : -1)) parent = parent?.[step] as typeof parent
  if (typeof parent !== 'object' || parent === null) return
  const last = path.at(-1) ?? ''
  if (how === 'add') parent[key] = other
  else if (how === 'remove') delete parent[last]
  else parent[last] = other
}

/** Bytes with some replaced, and perhaps cut. */
export function damaged(texts: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(texts, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.option(fc.nat()))
    .map(([text, edits, cut]) => {
      const bytes = Buffer.from(text)
      for (const [at, byte] of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte
      return cut === null ? bytes : bytes.subarray(0, cut % (bytes.length + 1))
    })
}

/** A piece of a text, or of a list, by its number. */
const PIECES: Readonly<Record<'text' | 'list' | 'keys', readonly ((at: number) => string)[]>> = {
  text: ['hello world ', '\\ud800', '\\"', '\\n', '中', '\\\\', '12345678901234567890'].map((piece) => () => piece),
  list: ['{}', '[[]]', '1e400', '"\\ud800"', `1.${'1'.repeat(90)}`].map((piece) => () => piece),
  keys: [(at) => `k${at}`, (at) => `\\ud800${at}`, (at) => `${at}${'x'.repeat(150)}`],
}

/** Chat requests of up to 16 MiB, as JSON, that cost as much as possible: in their message, in unknown fields and in the arguments of calls. */
export const largeRequests: fc.Arbitrary<string> = fc
  .record({
    kind: fc.constantFrom<keyof typeof PIECES>('text', 'list', 'keys'),
    piece: fc.nat(),
    kibi: fc.integer({ min: 64, max: 16 * 1024 - 2 }),
    place: fc.constantFrom('content', 'unknown', 'arguments', 'result', 'tool'),
    number: fc.constantFrom('', ',"number":12345678901234567890'),
  })
  .map(({ kind, piece, kibi, place, number }) => {
    const pieceAt = PIECES[kind][piece % PIECES[kind].length] as (at: number) => string
    const items: string[] = []
    for (let at = 0, left = kibi * 1024; left > 0 && (kind === 'text' || at < 80_000); at += 1) {
      const item = kind === 'keys' ? `"${pieceAt(at)}":1` : pieceAt(at)
      left -= Buffer.byteLength(item) + 1
      items.push(item)
    }
    const value = { text: `"${items.join('')}"`, list: `[${items.join()}]`, keys: `{${items.join()}}` }[kind]
    const text = kind === 'text' ? value : JSON.stringify(value)
    const call = `{"id":"c","type":"function","function":{"name":"f","arguments":${place === 'arguments' ? text : '"{}"'}}}`
    const result = `{"role":"tool","tool_call_id":"c","content":${place === 'result' ? text : '"x"'}}`
    const messages = [
      `{"role":"user","content":${place === 'content' ? text : '"/demo count=1 rate=0 ttft=0"'}}`,
      ...(place === 'arguments' || place === 'result' ? [`{"role":"assistant","tool_calls":[${call}]}`, result] : []),
    ]
    const tools = `[{"type":"function","function":{"name":"f","parameters":{"x":${value}}}}]`
    const more = `${place === 'unknown' ? `,"unknown":${value}` : ''}${place === 'tool' ? `,"tools":${tools}` : ''}${number}`
    return `{"model":"demo","messages":[${messages.join()}]${more}}`
  })

const PATTERNS = [
  '^(a+)+$',
  '^(a|a)*b',
  '(x+x+)+y',
  '^\\d{1,1000}$',
  '[',
  '(?<n>a)\\k<n>',
  '\\p{L}+',
  '^(?:.*,){50}x$',
  'a{1000}{1000}',
]

/** JSON Schemas: valid ones, deep ones, large ones, and ones with slow patterns or circular references. */
export const schemas: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 5,
    arbitrary: mutated(
      fc.letrec((tie) => ({
        schema: fc.oneof(
          { depthSize: 'small' },
          fc.record({ type: fc.constantFrom('string', 'integer', 'boolean', 'null', 'number') }),
          fc.record({ type: fc.constant('string'), pattern: fc.constantFrom(...PATTERNS) }),
          fc.record({ type: fc.constant('string'), enum: fc.array(fc.string(), { minLength: 1, maxLength: 200 }) }),
          fc.record({ type: fc.constant('array'), items: tie('schema'), uniqueItems: fc.boolean() }),
          fc.record({
            type: fc.constant('object'),
            properties: fc.dictionary(fc.string({ maxLength: 12 }), tie('schema'), { maxKeys: 6 }),
            patternProperties: fc.dictionary(fc.constantFrom(...PATTERNS), tie('schema'), { maxKeys: 2 }),
            additionalProperties: fc.oneof(fc.boolean(), tie('schema')),
          }),
          fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 5 }) }),
          fc.record({ oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 5 }), not: tie('schema') }),
          fc.constantFrom(
            { $ref: '#' },
            { $ref: '#/definitions/a' },
            { $ref: 'http://127.0.0.1:9/none' },
            { $dynamicRef: '#x' },
          ),
        ),
      })).schema,
    ),
  },
  fc.nat(300).map((levels) => nested(levels)),
  fc.nat(2_000).map((count) => ({
    type: 'object',
    properties: Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `p${index}`,
        { type: 'string', pattern: PATTERNS[index % PATTERNS.length] },
      ]),
    ),
  })),
)

function nested(levels: number): unknown {
  let schema: unknown = { type: 'string' }
  for (let level = 0; level < levels; level += 1)
    schema = level % 2 === 0 ? { type: 'array', items: schema } : { anyOf: [{ type: 'null' }, schema] }
  return schema
}
