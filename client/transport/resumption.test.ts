import { expect, it } from 'vitest'
import { resumeHeaders, resumption } from './resumption.ts'

it('tells the door of before, and a gap only where a run was under way', () => {
  const left = { door: 'long-poll', heardAt: 1_000 } as const
  expect(resumption(left, 3_500.4, true)).toEqual({ door: 'poll', gapMs: 2_500 })
  expect(resumption(left, 3_500, false)).toEqual({ door: 'poll' })
})

it('tells no gap that the server would not take, whatever clocks do', () => {
  expect(resumption({ door: 'sse', heardAt: 5_000 }, 1_000, true).gapMs).toBe(0)
  expect(resumption({ door: 'sse', heardAt: 0 }, Number.MAX_SAFE_INTEGER, true).gapMs).toBe(86_400_000)
})

it('is a header over plain HTTP', () => {
  expect(resumeHeaders(undefined)).toEqual({})
  expect(resumeHeaders({ door: 'sse' })).toEqual({ 'Parley-Resume': 'sse' })
  expect(resumeHeaders({ door: 'sse', gapMs: 1200 })).toEqual({ 'Parley-Resume': 'sse; gap=1200' })
})
