// Accept: the type that a client likes best, and what it is when there is none.
import { describe, expect, it } from 'vitest'
import { negotiate } from './accept.ts'

const OFFERED = ['application/json', 'text/event-stream', 'application/x-ndjson'] as const

describe('negotiation', () => {
  it.each([
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/event-stream', 'text/event-stream'],
    ['Text/Event-Stream', 'text/event-stream'],
    ['text/*', 'text/event-stream'],
    ['application/*;q=0.5, text/event-stream', 'text/event-stream'],
    ['application/json;q=0.2, application/x-ndjson;q=0.9', 'application/x-ndjson'],
    ['text/html, */*;q=0.1', 'application/json'],
    // What is named counts before what it is one of.
    ['*/*, application/json;q=0', 'text/event-stream'],
    ['application/json; charset=utf-8', 'application/json'],
  ])('of %s takes %s', (accept, type) => {
    expect(negotiate(accept, OFFERED)).toBe(type)
  })

  it.each(['text/html', 'application/json;q=0', 'image/*', '', 'application/json;q=nonsense'])(
    'of %j takes nothing',
    (accept) => {
      expect(() => negotiate(accept, OFFERED)).toThrow('On offer: application/json, text/event-stream')
    },
  )
})
