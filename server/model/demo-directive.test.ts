// The demo model's directives: their values, and the errors of malformed ones.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDemoDirective } from './demo-directive.ts'

function problem(text: string): string {
  const parsed = parseDemoDirective(text)
  return parsed.kind === 'malformed' ? parsed.problem : parsed.kind
}

describe('a demo directive', () => {
  it('has a default for every key', () => {
    expect(parseDemoDirective('/demo')).toEqual({
      kind: 'directive',
      directive: {
        count: 100,
        rate: 50,
        ttft: 0,
        reasoning: 0,
        pieces: 0,
        sources: 0,
        files: 0,
        tools: [],
        jitter: 0,
        seed: 0,
      },
    })
  })

  it('accepts every key, in any order, on any number of lines', () => {
    const text =
      '/demo seed=7 jitter=3\nhang=6 fail=5  files=1 sources=2 pieces=3 reasoning=4 ttft=100 rate=12.5 count=200'
    expect(parseDemoDirective(text)).toEqual({
      kind: 'directive',
      directive: {
        count: 200,
        rate: 12.5,
        ttft: 100,
        reasoning: 4,
        pieces: 3,
        sources: 2,
        files: 1,
        tools: [],
        fail: 5,
        hang: 6,
        jitter: 3,
        seed: 7,
      },
    })
  })

  it('does not accept an input that a message could not contain', () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
    expect(problem(`/demo tool=a input=${deep}`)).toContain('is not JSON')
  })

  it('accepts several tools, each with the input that follows it', () => {
    const parsed = parseDemoDirective(
      '/demo tool=a input={"b": {"c": [1, "} ]\\" "]}} tool=d tool=e input="f g" count=1',
    )
    expect(parsed).toMatchObject({
      directive: {
        count: 1,
        tools: [
          { name: 'a', input: { b: { c: [1, '} ]" '] } } },
          { name: 'd', input: {} },
          { name: 'e', input: 'f g' },
        ],
      },
    })
  })

  it('returns any JSON input unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        const parsed = parseDemoDirective(`/demo tool=a input=${JSON.stringify(input)} count=3`)
        expect(parsed).toMatchObject({ directive: { count: 3 } })
        const [call] = parsed.kind === 'directive' ? parsed.directive.tools : []
        expect(JSON.stringify(call?.input)).toBe(JSON.stringify(input))
      }),
    )
  })

  it('must start with the word /demo', () => {
    for (const text of ['', 'hello', '/demonstrate', 'say /demo count=1', '/Demo']) {
      expect(parseDemoDirective(text)).toEqual({ kind: 'none' })
    }
    expect(parseDemoDirective('  /demo').kind).toBe('directive')
  })

  it('reports its error', () => {
    expect(problem('/demo please')).toBe('"please" is not key=value')
    expect(problem(`/demo ${'x'.repeat(39)}😀`)).toBe(`"${'x'.repeat(39)}…" is not key=value`)
    expect(problem('/demo size=1')).toBe('"size" is an unknown key')
    expect(problem('/demo count=x')).toBe('count must be a whole number from 0 to 1000000')
    expect(problem('/demo count=-1')).toBe('count must be a whole number from 0 to 1000000')
    expect(problem('/demo count=1.5')).toBe('count must be a whole number from 0 to 1000000')
    expect(problem('/demo count=1000001')).toBe('count must be a whole number from 0 to 1000000')
    expect(problem('/demo rate=fast')).toBe('rate must be a number from 0 to 1000000')
    expect(problem('/demo count=1 count=2')).toBe('count= is given twice')
    expect(problem('/demo input={}')).toBe('input= must follow its tool=')
    expect(problem('/demo tool=')).toBe('tool= needs a tool name')
    expect(problem('/demo tool=a input={} input={}')).toBe('tool "a" has two inputs')
    expect(problem('/demo tool=a input={"b": 1')).toBe('the input of tool "a" is not a complete JSON value')
    expect(problem('/demo tool=a input={b}')).toBe('the input of tool "a" is not JSON: "{b}"')
    expect(problem(`/demo${' tool=a'.repeat(33)}`)).toBe('more than 32 tools')
  })

  it('never throws while it is parsed', () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void parseDemoDirective(`/demo ${text}`)))
  })
})

describe('agents in a directive', () => {
  it('are asked, with text in balanced braces that may be a directive itself, and get the conversation', () => {
    const text =
      '/demo ask=a message={/demo ask=b message={/demo count=2} count=1} ask=c message="{" handoff=d reason={x y} count=0'
    expect(parseDemoDirective(text)).toMatchObject({
      directive: {
        tools: [
          { name: 'ask_a', input: { message: '/demo ask=b message={/demo count=2} count=1' } },
          { name: 'ask_c', input: { message: '{' } },
          { name: 'handoff_to_d', input: { reason: 'x y' } },
        ],
      },
    })
    expect(parseDemoDirective('/demo handoff=d')).toMatchObject({
      directive: { tools: [{ name: 'handoff_to_d', input: {} }] },
    })
    for (const wrong of [
      'ask=',
      'message={x}',
      'ask=a reason={x}',
      'ask=a message={x',
      'ask=a message=x',
      'tool=t message={x}',
    ])
      expect(parseDemoDirective(`/demo ${wrong}`).kind).toBe('malformed')
  })
})
