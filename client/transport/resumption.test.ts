// Resumption: what a returning client tells the server about its connection before.
import { expect, it } from 'vitest'
import { resumeHeaders, resumption } from './resumption.ts'

it('reports the previous transport, and a gap only if a run was active', () => {
  const previous = { kind: 'long-poll', receivedAt: 1_000 } as const
  expect(resumption(previous, 3_500.4, true)).toEqual({ door: 'poll', gapMs: 2_500 })
  expect(resumption(previous, 3_500, false)).toEqual({ door: 'poll' })
})

it('limits the gap to values that the server accepts, whatever the clocks do', () => {
  expect(resumption({ kind: 'sse', receivedAt: 5_000 }, 1_000, true).gapMs).toBe(0)
  expect(resumption({ kind: 'sse', receivedAt: 0 }, Number.MAX_SAFE_INTEGER, true).gapMs).toBe(86_400_000)
})

it('becomes a header over plain HTTP', () => {
  expect(resumeHeaders(undefined)).toEqual({})
  expect(resumeHeaders({ door: 'sse' })).toEqual({ 'Parley-Resume': 'sse' })
  expect(resumeHeaders({ door: 'sse', gapMs: 1200 })).toEqual({ 'Parley-Resume': 'sse; gap=1200' })
})
