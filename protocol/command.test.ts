// Client frames at their limits: the largest accepted and the smallest rejected values.
import { describe, expect, it } from 'vitest'
import { ClientFrame } from './command.ts'
import { LIMITS } from './limits.ts'

const accepts = (frame: unknown) => ClientFrame.safeParse(frame).success
const send = (content: unknown, more: object = {}) => ({ type: 'send', id: 'c1', session: 's1', content, ...more })
const attach = (more: object) => ({ type: 'attach', id: 'c1', session: 's1', ...more })
const toolResult = (more: object) => ({ type: 'tool.result', id: 'c1', session: 's1', call: 't1', ...more })
const text = (length: number) => ({ type: 'text', text: 'x'.repeat(length) })
const file = (more: object) => send([{ type: 'file', mediaType: 'image/png', ...more }])

describe('limits', () => {
  it('are unchanged', () => {
    expect(LIMITS).toEqual({
      frameBytes: 1_048_576,
      batchFrames: 256,
      depth: 64,
      values: 180_000,
      messageChars: 524_288,
      messageParts: 64,
      tools: 64,
      toolBytes: 131_072,
      toolOutputBytes: 262_144,
      questionChars: 4_096,
      formFields: 32,
      formBytes: 32_768,
      questions: 16,
      presenceBytes: 1_024,
      helloMs: 10_000,
      attachedSessions: 1_000,
      contextMessages: 1_024,
      contextTools: 128,
      members: 1_000,
      invites: 64,
      queuedRuns: 32,
    })
  })
})

describe('a client frame', () => {
  it.each([null, 1, 'hello', [], {}, { type: 'nope' }, { type: null }])('is not %j', (frame) => {
    expect(accepts(frame)).toBe(false)
  })

  it('drops unknown fields', () => {
    expect(ClientFrame.parse({ type: 'ping', extra: 1 })).toEqual({ type: 'ping' })
  })

  it('requires an id of 1 to 128 characters', () => {
    expect(accepts({ ...send('hi'), id: 'x'.repeat(128) })).toBe(true)
    for (const id of ['', 'x'.repeat(129), 'x'.repeat(10_000), 'a.b', 1, null, undefined]) {
      expect(accepts({ ...send('hi'), id })).toBe(false)
    }
  })

  it('accepts an access token up to its limit', () => {
    expect(accepts({ type: 'hello', token: 'x'.repeat(16_384) })).toBe(true)
    expect(accepts({ type: 'hello', token: 'x'.repeat(16_385) })).toBe(false)
  })
})

describe('send', () => {
  it('accepts text from one character to its limit', () => {
    expect(accepts(send('x'.repeat(LIMITS.messageChars)))).toBe(true)
    expect(accepts(send('x'.repeat(LIMITS.messageChars + 1)))).toBe(false)
    expect(accepts(send(''))).toBe(false)
  })

  it('accepts parts from one to their limits', () => {
    expect(accepts(send(new Array(LIMITS.messageParts).fill(text(1))))).toBe(true)
    expect(accepts(send(new Array(LIMITS.messageParts + 1).fill(text(1))))).toBe(false)
    expect(accepts(send([text(LIMITS.messageChars)]))).toBe(true)
    expect(accepts(send([text(LIMITS.messageChars + 1)]))).toBe(false)
    expect(accepts(send([]))).toBe(false)
  })

  it('accepts a file with either a URL or inline data', () => {
    expect(accepts(file({ url: 'https://example.com/a.png' }))).toBe(true)
    expect(accepts(file({ data: 'aGk=' }))).toBe(true)
    expect(accepts(file({}))).toBe(false)
    expect(accepts(file({ url: 'https://example.com/a.png', data: 'aGk=' }))).toBe(false)
  })

  it('accepts only http and https URLs, and only base64 data', () => {
    expect(accepts(file({ url: 'file:///etc/passwd' }))).toBe(false)
    expect(accepts(file({ url: 'javascript:alert(1)' }))).toBe(false)
    expect(accepts(file({ data: 'not base64!' }))).toBe(false)
  })

  it('accepts the four policies', () => {
    for (const policy of ['queue', 'interrupt', 'reject', 'steer']) expect(accepts(send('hi', { policy }))).toBe(true)
    expect(accepts(send('hi', { policy: 'abort' }))).toBe(false)
  })

  it('accepts a seen index from -1', () => {
    expect(accepts(send('hi', { seen: { run: 'r1', index: -1 } }))).toBe(true)
    expect(accepts(send('hi', { seen: { run: 'r1', index: -2 } }))).toBe(false)
    expect(accepts(send('hi', { seen: { run: 'r1', index: 0.5 } }))).toBe(false)
  })
})

describe('attach', () => {
  it('accepts any short text as a cursor, so that an invalid one gets its own error code', () => {
    expect(accepts(attach({ after: 'nonsense' }))).toBe(true)
    expect(accepts(attach({ after: 'x'.repeat(257) }))).toBe(false)
  })

  it('accepts tools, names and timeouts up to their limits', () => {
    const tools = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `tool_${i}` }))
    expect(accepts(attach({ tools: tools(LIMITS.tools) }))).toBe(true)
    expect(accepts(attach({ tools: tools(LIMITS.tools + 1) }))).toBe(false)
    for (const name of ['', 'a b', 'x'.repeat(65)]) expect(accepts(attach({ tools: [{ name }] }))).toBe(false)
    expect(accepts(attach({ tools: [{ name: 'x'.repeat(64), timeoutMs: 100 }] }))).toBe(true)
    for (const timeoutMs of [99, 3_600_001, 1_000.5]) {
      expect(accepts(attach({ tools: [{ name: 'a', timeoutMs }] }))).toBe(false)
    }
  })

  it('does not set a prototype by a schema with the key __proto__', () => {
    const tool = JSON.parse('{"name":"a","inputSchema":{"__proto__":{"polluted":true}}}') as object
    expect(accepts(attach({ tools: [tool] }))).toBe(true)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

describe('tool.result', () => {
  it('has an output, an error or neither, but not both', () => {
    expect(accepts(toolResult({ output: { a: 1 } }))).toBe(true)
    expect(accepts(toolResult({ error: 'no' }))).toBe(true)
    expect(accepts(toolResult({}))).toBe(true)
    expect(accepts(toolResult({ output: 1, error: 'no' }))).toBe(false)
  })
})
