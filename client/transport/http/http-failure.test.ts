// Tests the wait that an unsuccessful answer asks for.
import { expect, it } from 'vitest'
import { failureOf } from './http-failure.ts'

it.each([
  ['7', 7_000],
  // By the server's clock, which the device's clock need not agree with.
  ['Tue, 01 Jan 1980 00:00:07 GMT', 7_000],
  ['Mon, 31 Dec 1979 23:59:59 GMT', 0],
  ['100000', 3_600_000],
  ['soon', undefined],
])('reads `Retry-After: %s`', async (value, expected) => {
  const headers = { 'Retry-After': value, Date: 'Tue, 01 Jan 1980 00:00:00 GMT' }
  expect((await failureOf(new Response('', { status: 503, headers }))).retryAfterMs).toBe(expected)
})
