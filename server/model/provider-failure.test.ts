// Provider failures as Parley's codes. The provider's text is only in the reason of a permanent refusal, without secrets.
import { APICallError, LoadAPIKeyError, UnsupportedFunctionalityError } from '@ai-sdk/provider'
import { ERRORS } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loggedCause, toProviderFailure } from './provider-failure.ts'
import { publicText } from './public-text.ts'

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

  it('is a refusal with 400 if the provider’s package cannot pass a part of the prompt on', () => {
    const error = new UnsupportedFunctionalityError({ functionality: 'file part media type application/zip' })
    expect(toProviderFailure(error)).toEqual({
      code: 'provider_error',
      message: expect.stringMatching(/^The model provider refused the request \(HTTP 400\): .*application\/zip/),
      retryable: false,
      status: 400,
    })
  })

  it('is typed and contains no provider text but the reason of a refusal, whatever was thrown', () => {
    const known = new Set<string>(Object.values(ERRORS).map(({ message }) => message))
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const failure = toProviderFailure(thrown)
        expect(Object.hasOwn(ERRORS, failure.code)).toBe(true)
        const isRefusal = failure.status !== undefined && failure.status < 500 && !failure.retryable
        expect(isRefusal || known.has(failure.message)).toBe(true)
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

describe('a provider’s words', () => {
  it('are cut, on one line, and without keys and addresses', () => {
    const bearer = 'Authorization: Bearer abc.def-123456'
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig'
    const texts: readonly (readonly [string, string])[] = [
      ['max_tokens: 5 is too low\n for  m', 'max_tokens: 5 is too low for m'],
      ['Incorrect API key provided: sk-proj-abcd****wxyz.', 'Incorrect API key provided: [removed]'],
      ['use AIzaSyA1234567890abcdef now', 'use [removed] now'],
      [`${bearer}, ${jwt}`, '[removed], [removed]'],
      ['see https://user:pw@host/v1?key=1, or 10.1.2.3:8000', 'see [removed] or [removed]'],
      ['the host inference.internal said no', 'the host [removed] said no'],
      ['api_key=abcdef and "token": "xyz"', '[removed] and "[removed]"'],
      ['the model claude-3-5-sonnet-20241022 does not exist', 'the model claude-3-5-sonnet-20241022 does not exist'],
      ['half \ud83d', 'half \ufffd'],
    ]
    for (const [text, expected] of texts) expect(publicText(text, ['inference.internal', 'no'])).toBe(expected)
    // Host names of any length, with their ports.
    const hosts: readonly (readonly [string, string])[] = [
      ['cannot connect to gpu1:80 (GPU1:8000)', 'cannot connect to [removed] ([removed])'],
      ['gpu1 has no data:5 for gpu12:a or xgpu1:80', 'gpu1 has no data:5 for gpu12:a or xgpu1:80'],
      ['no route to [::1]:80, inference.internal:443', 'no route to [removed], [removed]'],
    ]
    for (const [text, expected] of hosts)
      expect(publicText(text, ['', 'gpu1', '[::1]', 'a', 'inference.internal'])).toBe(expected)
    expect(publicText('a'.repeat(10_000))).toBe('a'.repeat(500))
  })

  it('take no time for any text', () => {
    const started = performance.now()
    for (const text of ['a.'.repeat(5_000), '1.'.repeat(5_000), 'sk-'.repeat(4_000), 'key '.repeat(4_000)])
      publicText(text)
    expect(performance.now() - started).toBeLessThan(500)
  })

  it('and the errors of its package are not logged', () => {
    const error = new APICallError({
      message: 'secret',
      url: 'u',
      requestBodyValues: { text: 'secret' },
      statusCode: 400,
    })
    expect(JSON.stringify(loggedCause(error))).toBe('{"reason":"AI_APICallError"}')
    expect(loggedCause({ message: 'secret' })).toEqual({ reason: 'an error in the answer' })
    const bug = new TypeError('x is not a function')
    expect(loggedCause(bug)).toEqual({ err: bug })
  })
})
