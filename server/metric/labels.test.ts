// Every label has few values, whatever clients send.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { AllowList, doorLabel, providerLabel } from './labels.ts'

it('keeps known values, and replaces the others', () => {
  const list = new AllowList(['a', 'b'])
  expect(['a', 'b', 'c', '', undefined].map((value) => list.label(value))).toEqual(['a', 'b', 'other', '', ''])
})

it('has a limited number of values for any input', () => {
  const allowed = new Set(['websocket', 'sse', 'ndjson', 'poll', 'openai', 'mcp', 'request', 'job', 'other'])
  const providers = new Set(['parley.demo', 'openai', 'anthropic', 'gcp.gemini', 'openai.compatible', 'other'])
  fc.assert(
    fc.property(fc.option(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'sse', 'openai:x', 'demo'))), (text) => {
      expect(allowed).toContain(doorLabel(text ?? undefined))
      expect(providers).toContain(providerLabel(text ?? undefined))
    }),
  )
})
