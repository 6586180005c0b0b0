// Content negotiation: the media type a client prefers, and the error if none is acceptable.
import { describe, expect, it } from 'vitest'
import { negotiate } from './accept.ts'

const OFFERED = ['application/json', 'text/event-stream', 'application/x-ndjson'] as const

describe('negotiate', () => {
  it.each([
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/event-stream', 'text/event-stream'],
    ['Text/Event-Stream', 'text/event-stream'],
    ['text/*', 'text/event-stream'],
    ['application/*;q=0.5, text/event-stream', 'text/event-stream'],
    ['application/json;q=0.2, application/x-ndjson;q=0.9', 'application/x-ndjson'],
    ['text/html, */*;q=0.1', 'application/json'],
    // A specific type overrides a range.
    ['*/*, application/json;q=0', 'text/event-stream'],
    ['application/json; charset=utf-8', 'application/json'],
  ])('given %s, picks %s', (accept, type) => {
    expect(negotiate(accept, OFFERED)).toBe(type)
  })

  it.each(['text/html', 'application/json;q=0', 'image/*', '', 'application/json;q=nonsense'])(
    'given %j, throws not_acceptable',
    (accept) => {
      expect(() => negotiate(accept, OFFERED)).toThrow('Available media types: application/json, text/event-stream')
    },
  )
})
