// Provider failures as Parley's codes, without the provider's text.
import { APICallError, LoadAPIKeyError } from '@ai-sdk/provider'
import { ERRORS } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toProviderFailure } from './provider-failure.ts'

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code })
}

describe('a provider failure', () => {
  it('finds the socket error at any depth', () => {
    const deep = new TypeError('fetch failed', {
      cause: new AggregateError([], '', { cause: withCode('ECONNREFUSED') }),
    })
    expect(toProviderFailure(deep)).toMatchObject({ code: 'provider_disconnected', retryable: true })
    for (const code of ['ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'CERT_HAS_EXPIRED']) {
      expect(toProviderFailure(new TypeError('terminated', { cause: withCode(code) })).code, code).toBe(
        'provider_disconnected',
      )
    }
    for (const code of ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']) {
      expect(toProviderFailure(new TypeError('terminated', { cause: withCode(code) })).code, code).toBe(
        'provider_timeout',
      )
    }
    expect(toProviderFailure(AbortSignal.abort().reason).code).toBe('provider_disconnected')
    expect(toProviderFailure(new DOMException('late', 'TimeoutError')).code).toBe('provider_timeout')
  })

  it('is a disconnect if a started body is cut', () => {
    const cause = new TypeError('terminated', { cause: withCode('UND_ERR_SOCKET') })
    const error = new APICallError({ message: 'Failed', url: 'u', requestBodyValues: {}, statusCode: 200, cause })
    expect(toProviderFailure(error).code).toBe('provider_disconnected')
  })

  it('is internal for a bug, without its text', () => {
    expect(toProviderFailure(new TypeError('x is not a function'))).toEqual({
      code: 'internal',
      message: ERRORS.internal.message,
      retryable: false,
    })
    expect(toProviderFailure(new LoadAPIKeyError({ message: 'no key' })).code).toBe('provider_unauthenticated')
  })

  it('is typed and contains no provider text, whatever was thrown', () => {
    const known = new Set<string>(Object.values(ERRORS).map(({ message }) => message))
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const failure = toProviderFailure(thrown)
        expect(Object.hasOwn(ERRORS, failure.code)).toBe(true)
        expect(known.has(failure.message)).toBe(true)
      }),
    )
  })

  it('does not follow circular causes', () => {
    const error = new TypeError('fetch failed')
    error.cause = error
    expect(toProviderFailure(error).code).toBe('provider_disconnected')
    const data: { error?: object } = {}
    data.error = data
    expect(toProviderFailure(data).code).toBe('provider_error')
  })
})
