// Error codes: stable names, texts for people, and whether to retry.
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, ERRORS, ReplyError } from './error.ts'

describe('error codes', () => {
  it('are retryable as listed', () => {
    expect(ERROR_CODES.filter((code) => ERRORS[code].retryable)).toEqual([
      'rate_limited',
      'too_many_runs',
      'queue_full',
      'unavailable',
      'storage_full',
      'going_away',
      'contended',
      'internal',
      'provider_rate_limited',
      'provider_timeout',
      'provider_disconnected',
    ])
  })

  it.each(ERROR_CODES)('%s is in snake case and has a sentence as its text', (code) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(ERRORS[code].message).toMatch(/^[A-Z].*\.$/)
  })
})

describe('ReplyError', () => {
  it('uses its code’s own text by default', () => {
    expect(new ReplyError('run_active').message).toBe(ERRORS.run_active.message)
    expect(new ReplyError('run_active', 'Wait.').message).toBe('Wait.')
  })

  it('says whether and when to retry', () => {
    expect(new ReplyError('rate_limited', undefined, { retryAfterMs: 250 })).toMatchObject({
      code: 'rate_limited',
      retryable: true,
      retryAfterMs: 250,
    })
    expect(new ReplyError('forbidden').retryAfterMs).toBeUndefined()
  })
})
