// Commands at their limits: the largest that is taken, the smallest that is not.
import { describe, expect, it } from 'vitest'
import { ClientFrame } from './command.ts'
import { LIMITS } from './limits.ts'

const takes = (frame: unknown) => ClientFrame.safeParse(frame).success
const send = (content: unknown, more: object = {}) => ({ type: 'send', id: 'c1', session: 's1', content, ...more })
const attach = (more: object) => ({ type: 'attach', id: 'c1', session: 's1', ...more })
const toolResult = (more: object) => ({ type: 'tool.result', id: 'c1', session: 's1', call: 't1', ...more })
const text = (length: number) => ({ type: 'text', text: 'x'.repeat(length) })
const file = (more: object) => send([{ type: 'file', mediaType: 'image/png', ...more }])

describe('limits', () => {
  it('are these', () => {
    expect(LIMITS).toEqual({
      frameBytes: 1_048_576,
      batchFrames: 256,
      depth: 64,
      messageChars: 524_288,
      messageParts: 64,
      tools: 64,
      toolBytes: 131_072,
      toolOutputBytes: 262_144,
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
    expect(takes(frame)).toBe(false)
  })

  it('loses fields that the protocol does not know', () => {
    expect(ClientFrame.parse({ type: 'ping', extra: 1 })).toEqual({ type: 'ping' })
  })

  it('needs an id of 1 to 128', () => {
    expect(takes({ ...send('hi'), id: 'x'.repeat(128) })).toBe(true)
    for (const id of ['', 'x'.repeat(129), 'x'.repeat(10_000), 'a.b', 1, null, undefined]) {
      expect(takes({ ...send('hi'), id })).toBe(false)
    }
  })

  it('may not bring a token beyond its limit', () => {
    expect(takes({ type: 'hello', token: 'x'.repeat(16_384) })).toBe(true)
    expect(takes({ type: 'hello', token: 'x'.repeat(16_385) })).toBe(false)
  })
})

describe('send', () => {
  it('takes text up to its limit, and not none', () => {
    expect(takes(send('x'.repeat(LIMITS.messageChars)))).toBe(true)
    expect(takes(send('x'.repeat(LIMITS.messageChars + 1)))).toBe(false)
    expect(takes(send(''))).toBe(false)
  })

  it('takes parts up to their limits, and not none', () => {
    expect(takes(send(new Array(LIMITS.messageParts).fill(text(1))))).toBe(true)
    expect(takes(send(new Array(LIMITS.messageParts + 1).fill(text(1))))).toBe(false)
    expect(takes(send([text(LIMITS.messageChars)]))).toBe(true)
    expect(takes(send([text(LIMITS.messageChars + 1)]))).toBe(false)
    expect(takes(send([]))).toBe(false)
  })

  it('takes a file by URL or inline, not both nor neither', () => {
    expect(takes(file({ url: 'https://example.com/a.png' }))).toBe(true)
    expect(takes(file({ data: 'aGk=' }))).toBe(true)
    expect(takes(file({}))).toBe(false)
    expect(takes(file({ url: 'https://example.com/a.png', data: 'aGk=' }))).toBe(false)
  })

  it('takes files by http and https only, and base64 only', () => {
    expect(takes(file({ url: 'file:///etc/passwd' }))).toBe(false)
    expect(takes(file({ url: 'javascript:alert(1)' }))).toBe(false)
    expect(takes(file({ data: 'not base64!' }))).toBe(false)
  })

  it('takes four policies', () => {
    for (const policy of ['queue', 'interrupt', 'reject', 'steer']) expect(takes(send('hi', { policy }))).toBe(true)
    expect(takes(send('hi', { policy: 'abort' }))).toBe(false)
  })

  it('takes what was seen from -1 on', () => {
    expect(takes(send('hi', { seen: { run: 'r1', index: -1 } }))).toBe(true)
    expect(takes(send('hi', { seen: { run: 'r1', index: -2 } }))).toBe(false)
    expect(takes(send('hi', { seen: { run: 'r1', index: 0.5 } }))).toBe(false)
  })
})

describe('attach', () => {
  it('takes any short text as a cursor, so that a wrong one gets an error of its own', () => {
    expect(takes(attach({ after: 'nonsense' }))).toBe(true)
    expect(takes(attach({ after: 'x'.repeat(257) }))).toBe(false)
  })

  it('takes tools up to their limit, with names and times within theirs', () => {
    const tools = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `tool_${i}` }))
    expect(takes(attach({ tools: tools(LIMITS.tools) }))).toBe(true)
    expect(takes(attach({ tools: tools(LIMITS.tools + 1) }))).toBe(false)
    for (const name of ['', 'a b', 'x'.repeat(65)]) expect(takes(attach({ tools: [{ name }] }))).toBe(false)
    expect(takes(attach({ tools: [{ name: 'x'.repeat(64), timeoutMs: 100 }] }))).toBe(true)
    for (const timeoutMs of [99, 3_600_001, 1_000.5]) {
      expect(takes(attach({ tools: [{ name: 'a', timeoutMs }] }))).toBe(false)
    }
  })

  it('is not fooled by a schema that names __proto__', () => {
    const tool = JSON.parse('{"name":"a","inputSchema":{"__proto__":{"polluted":true}}}') as object
    expect(takes(attach({ tools: [tool] }))).toBe(true)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

describe('tool.result', () => {
  it('brings output or error, or nothing for null, but not both', () => {
    expect(takes(toolResult({ output: { a: 1 } }))).toBe(true)
    expect(takes(toolResult({ error: 'no' }))).toBe(true)
    expect(takes(toolResult({}))).toBe(true)
    expect(takes(toolResult({ output: 1, error: 'no' }))).toBe(false)
  })
})
