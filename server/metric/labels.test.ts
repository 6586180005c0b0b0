// Labels: whatever clients say, each has few values.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { AllowList, doorLabel, providerLabel } from './labels.ts'

it('lets through what is on the list, and calls the rest other', () => {
  const list = new AllowList(['a', 'b'])
  expect(['a', 'b', 'c', '', undefined].map((value) => list.label(value))).toEqual(['a', 'b', 'other', '', ''])
})

it('has a bounded number of values, whatever is said', () => {
  const allowed = new Set(['websocket', 'sse', 'ndjson', 'poll', 'openai', 'request', 'job', 'other'])
  const providers = new Set(['parley.demo', 'openai', 'anthropic', 'gcp.gemini', 'openai.compatible', 'other'])
  fc.assert(
    fc.property(fc.option(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'sse', 'openai:x', 'demo'))), (text) => {
      expect(allowed).toContain(doorLabel(text ?? undefined))
      expect(providers).toContain(providerLabel(text ?? undefined))
    }),
  )
})
