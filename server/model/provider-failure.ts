// ProviderFailure: whatever a provider's package threw or put on its stream, as one of Parley's own codes. A provider's
// text, URLs and headers stay here: of them only the HTTP status and the time to wait come out.
import {
  APICallError,
  EmptyResponseBodyError,
  InvalidResponseDataError,
  JSONParseError,
  LoadAPIKeyError,
  TypeValidationError,
} from '@ai-sdk/provider'
import { ERRORS, type ErrorCode } from '@parley/protocol'

export interface ProviderFailure {
  readonly code: ErrorCode
  /** For people; nothing of the provider's own text. */
  readonly message: string
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** What the provider asked for. */
  readonly retryAfterMs?: number
}

/** A failure that was recognised where the stream was read. */
export class ProviderStreamError extends Error {
  override readonly name = 'ProviderStreamError'
  readonly code: ErrorCode

  constructor(code: ErrorCode) {
    super(ERRORS[code].message)
    this.code = code
  }
}

/** @param error what `doStream` threw, what its stream threw, or what its `error` part holds */
export function toProviderFailure(error: unknown): ProviderFailure {
  if (error instanceof ProviderStreamError) return failure(error.code)
  if (APICallError.isInstance(error)) return ofCall(error)
  if (LoadAPIKeyError.isInstance(error)) return failure('provider_unauthenticated')
  if (isGarbage(error)) return failure('provider_garbage')
  return ofNetwork(error) ?? ofWords(error) ?? failure(error instanceof Error ? 'internal' : 'provider_error', false)
}

function ofCall(error: APICallError): ProviderFailure {
  const { statusCode: status } = error
  if (status === undefined) return ofNetwork(error) ?? failure('provider_disconnected', error.isRetryable)
  const after = retryAfter(error.responseHeaders)
  const wait = after === undefined ? {} : { retryAfterMs: after }
  const text = `${ERRORS.provider_error.message.slice(0, -1)} (HTTP ${status}).`
  if (status === 401 || status === 403) return failure('provider_unauthenticated')
  if (status === 429) {
    // An account that has nothing left gets the same status; waiting does not help it.
    return { ...failure('provider_rate_limited', !wordsOf(error.data).includes('insufficient_quota')), ...wait }
  }
  if (status === 408 || status === 504) return { ...failure('provider_timeout'), ...wait }
  if (status < 300) {
    // The body broke off, or it is not what its provider's package can read.
    return ofNetwork(error.cause) ?? failure('provider_garbage')
  }
  if (wordsOf(error.data).some((word) => CONTENT.test(word))) return failure('content_filtered')
  const again = error.isRetryable || status >= 500
  return { ...failure('provider_error', again), message: text, ...(again ? wait : {}) }
}

/** Looks for the failure of a socket, which `fetch` wraps once or twice. */
function ofNetwork(error: unknown): ProviderFailure | undefined {
  let cause = error
  let broken = false
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth += 1) {
    const code: unknown = 'code' in cause ? cause.code : undefined
    const word = typeof code === 'string' ? code : ''
    if (cause.name === 'TimeoutError' || TIMEOUT.test(word)) return failure('provider_timeout')
    if (NETWORK.test(word)) return failure('provider_disconnected')
    // `fetch` says no more than this itself; its cause may.
    broken ||= cause.name === 'AbortError' || (cause instanceof TypeError && FETCH.test(cause.message))
    cause = cause.cause
  }
  return broken ? failure('provider_disconnected') : undefined
}

/** Providers that fail in mid-stream say why in the body, each in words of its own. */
function ofWords(error: unknown): ProviderFailure | undefined {
  for (const word of wordsOf(error)) {
    const found = WORDS.find(([pattern]) => pattern.test(word))
    if (found !== undefined) return failure(found[1], found[2])
  }
  return undefined
}

const CONTENT = /content_?(filter|policy)|safety|responsible_?ai/i

const WORDS: readonly (readonly [RegExp, ErrorCode, boolean])[] = [
  [/insufficient_quota|billing/i, 'provider_rate_limited', false],
  [/rate_?limit|too_many_requests|resource_exhausted|^429$/i, 'provider_rate_limited', true],
  [
    /authentication|unauthorized|unauthenticated|invalid_api_key|permission|^40[13]$/i,
    'provider_unauthenticated',
    false,
  ],
  [CONTENT, 'content_filtered', false],
  [/timeout|deadline_exceeded|^(408|504)$/i, 'provider_timeout', true],
  [/overloaded|unavailable|server_error|api_error|internal|^5\d\d$/i, 'provider_error', true],
]

/** Socket and resolver errors of Node, and those of its HTTP client. */
const NETWORK =
  /^(ECONN|EPIPE|ENOTFOUND|EAI_|EHOST|ENET|EADDR|EPROTO|CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|UND_ERR_(SOCKET|CLOSED|DESTROYED|INFO|ABORTED))/
const TIMEOUT = /^(ETIMEDOUT|ESOCKETTIMEDOUT|UND_ERR_(HEADERS|BODY|CONNECT)_TIMEOUT)$/
const FETCH = /^(fetch failed|terminated|failed to fetch|network)/i
const MAX_CAUSES = 8

/** The machine-readable words of an error's body: its `type`, `code` and `status`, at any of the usual depths. */
function wordsOf(data: unknown, depth = 0): string[] {
  if (typeof data !== 'object' || data === null || depth > 3) return []
  const words: string[] = []
  for (const [key, value] of Object.entries(data)) {
    if (/^(type|code|status|reason)$/.test(key) && (typeof value === 'string' || typeof value === 'number')) {
      words.push(String(value))
    } else if (/^(error|response|data|innererror)$/.test(key)) {
      words.push(...wordsOf(value, depth + 1))
    }
  }
  return words
}

function isGarbage(error: unknown): boolean {
  return (
    JSONParseError.isInstance(error) ||
    TypeValidationError.isInstance(error) ||
    InvalidResponseDataError.isInstance(error) ||
    EmptyResponseBodyError.isInstance(error)
  )
}

/** RFC 9110, section 10.2.3: seconds or a date; `retry-after-ms` is OpenAI's finer one. */
function retryAfter(headers: Readonly<Record<string, string>> | undefined): number | undefined {
  const fine = headers?.['retry-after-ms']
  if (fine !== undefined && /^\d+(\.\d+)?$/.test(fine)) return Math.ceil(Number(fine))
  const value = headers?.['retry-after']?.trim()
  if (value === undefined) return undefined
  if (/^\d+(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000)
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

function failure(code: ErrorCode, retryable: boolean = ERRORS[code].retryable): ProviderFailure {
  return { code, message: ERRORS[code].message, retryable }
}
