// ProviderFailure: maps an error of a provider's package to one of Parley's codes. URLs and headers stay here. The HTTP status, the
// time to wait, and the reason of a permanent refusal are passed on, the latter without secrets.
import {
  AISDKError,
  APICallError,
  EmptyResponseBodyError,
  InvalidResponseDataError,
  JSONParseError,
  LoadAPIKeyError,
  TypeValidationError,
  UnsupportedFunctionalityError,
} from '@ai-sdk/provider'
import { ERRORS, type ErrorCode } from '@parley/protocol'
import { publicText } from './public-text.ts'

export interface ProviderFailure {
  readonly code: ErrorCode
  /** For people. Contains text of the provider only if that refused the request itself. */
  readonly message: string
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** The wait that the provider asked for. */
  readonly retryAfterMs?: number
  /** The HTTP status (400 to 599) of the provider's answer, or of the error in it. */
  readonly status?: number
}

/** A failure that the reader of the stream recognised. */
export class ProviderStreamError extends Error {
  override readonly name = 'ProviderStreamError'
  readonly code: ErrorCode
  readonly details: StreamErrorDetails

  constructor(code: ErrorCode, message: string = ERRORS[code].message, details: StreamErrorDetails = {}) {
    super(message)
    this.code = code
    this.details = details
  }
}

export interface StreamErrorDetails extends Pick<Partial<ProviderFailure>, 'retryable' | 'retryAfterMs' | 'status'> {
  /** The other side's own words, which may contain secrets. The message has no full stop then. */
  readonly words?: string
}

/** The provider accepted the request and sent nothing at all. llama-cpp-python 0.3 does so if the prompt exceeds its context. */
export class EmptyAnswerError extends ProviderStreamError {
  constructor() {
    super('provider_garbage')
  }
}

/**
 * @param error thrown by `doStream` or its stream, or the content of an `error` part
 * @param secrets texts that no message may contain: keys and host names
 */
export function toProviderFailure(error: unknown, secrets: readonly string[] = []): ProviderFailure {
  if (error instanceof ProviderStreamError) return ofStream(error, secrets)
  if (APICallError.isInstance(error)) return ofCall(error, secrets)
  if (UnsupportedFunctionalityError.isInstance(error)) return refused(400, error.message, secrets)
  if (LoadAPIKeyError.isInstance(error)) return failure('provider_unauthenticated')
  if (isGarbage(error)) {
    // An error in another shape than the provider's package expects.
    const body = TypeValidationError.isInstance(error) ? error.value : undefined
    return (isErrorBody(body) ? failureOfBody(body, secrets) : undefined) ?? failure('provider_garbage')
  }
  const found = ofNetwork(error) ?? failureOfBody(error, secrets)
  return found ?? failure(error instanceof Error ? 'internal' : 'provider_error', false)
}

function ofStream({ code, message, details }: ProviderStreamError, secrets: readonly string[]): ProviderFailure {
  const { words, ...others } = details
  if (words === undefined) return { ...failure(code), message, ...others }
  const said = publicText(words, secrets)
  return { ...failure(code), message: said === '' ? `${message}.` : `${message}: ${said}`, ...others }
}

function ofCall(error: APICallError, secrets: readonly string[]): ProviderFailure {
  const { statusCode: status } = error
  if (status === undefined) return ofNetwork(error) ?? failure('provider_disconnected', error.isRetryable)
  if (status < 400) {
    // The body was cut, or the provider's package could not parse it.
    return ofNetwork(error.cause) ?? failure('provider_garbage')
  }
  const after = retryAfter(error.responseHeaders)
  const wait = after === undefined ? {} : { retryAfterMs: after }
  const body = error.data ?? parsed(error.responseBody)
  const words = errorWords(body)
  if (status === 401 || status === 403) return { ...failure('provider_unauthenticated'), status }
  if (status === 429) {
    // An exhausted account gets the same status; waiting does not help.
    return { ...failure('provider_rate_limited', !words.includes('insufficient_quota')), ...wait, status }
  }
  if (status === 408 || status === 504) return { ...failure('provider_timeout'), ...wait, status }
  if (words.some((word) => CONTENT.test(word))) return { ...failure('content_filtered'), status }
  if (!error.isRetryable && status < 500) return refused(status, messageOf(body), secrets)
  const message = `${ERRORS.provider_error.message.slice(0, -1)} (HTTP ${status}).`
  return { ...failure('provider_error', true), message, ...wait, status }
}

/** The provider, or its package, refused the request itself, and would refuse it again. */
function refused(status: number, reason: string | undefined, secrets: readonly string[]): ProviderFailure {
  const words = reason === undefined ? '' : publicText(reason, secrets)
  const message = `The model provider refused the request (HTTP ${status})${words === '' ? '.' : `: ${words}`}`
  return { ...failure('provider_error', false), message, status }
}

/** What a log may contain of a failure: the errors of the providers' packages contain the conversation. */
export function loggedCause(error: unknown): { readonly err?: Error; readonly reason?: string } {
  if (error === undefined) return {}
  if (!(error instanceof Error)) return { reason: 'an error in the answer' }
  return AISDKError.isInstance(error) ? { reason: error.name } : { err: error }
}

/** Searches the causes for a socket error, which `fetch` wraps once or twice. */
function ofNetwork(error: unknown): ProviderFailure | undefined {
  let cause = error
  let broken = false
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth += 1) {
    const code: unknown = 'code' in cause ? cause.code : undefined
    const word = typeof code === 'string' ? code : ''
    if (cause.name === 'TimeoutError' || TIMEOUT.test(word)) return failure('provider_timeout')
    if (NETWORK.test(word)) return failure('provider_disconnected')
    // `fetch` reports no more than this; its cause may be more specific.
    broken ||= cause.name === 'AbortError' || (cause instanceof TypeError && FETCH.test(cause.message))
    cause = cause.cause
  }
  return broken ? failure('provider_disconnected') : undefined
}

/** A provider that fails after its headers gives its reason in the body, in its own terms. */
function failureOfBody(error: unknown, secrets: readonly string[]): ProviderFailure | undefined {
  const words = errorWords(error)
  const number = Number(words.find((word) => /^[45]\d\d$/.test(word)) ?? Number.NaN)
  const status = Number.isNaN(number) ? {} : { status: number }
  for (const word of words) {
    const found = FAILURES_BY_WORD.find(([pattern]) => pattern.test(word))
    if (found !== undefined) return { ...failure(found[1], found[2]), ...status }
  }
  const text = messageOf(error)
  const refusal = status.status ?? REFUSALS.find(([pattern]) => words.some((word) => pattern.test(word)))?.[1]
  if (refusal !== undefined) return refused(refusal, text, secrets)
  if (words.length > 0 || text === undefined) return undefined
  // Only a sentence for people is left. The provider accepted the request, so it may accept it again.
  const found = FAILURES_BY_WORD.find(([pattern]) => pattern.test(text.replaceAll(/[\s-]+/g, '_')))
  return found === undefined ? failure('provider_error', true) : failure(found[1], found[2])
}

function isErrorBody(body: unknown): boolean {
  return typeof body === 'object' && body !== null && ('error' in body || ('object' in body && body.object === 'error'))
}

function messageOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || error instanceof Error) return undefined
  const { message, detail, error: inner } = error as { message?: unknown; detail?: unknown; error?: unknown }
  if (typeof message === 'string') return message
  if (typeof detail === 'string') return detail
  if (typeof inner === 'string') return inner
  return typeof inner === 'object' && inner !== null && 'message' in inner && typeof inner.message === 'string'
    ? inner.message
    : undefined
}

/** The JSON of a refusal's body; undefined if the body has another format. */
function parsed(body: string | undefined): unknown {
  if (body === undefined || body.length > MAX_REFUSAL) return undefined
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** UTF-16 code units of a refusal's body that are searched for its reason. */
const MAX_REFUSAL = 64 * 1024

const CONTENT = /content_?(filter|policy)|safety|responsible_?ai/i

const FAILURES_BY_WORD: readonly (readonly [RegExp, ErrorCode, boolean])[] = [
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

/** Refusals by their word, with the status that the same provider gives them before its headers. */
const REFUSALS: readonly (readonly [RegExp, number])[] = [
  [/not_?found/i, 404],
  [/too_large/i, 413],
  [/invalid_request|invalid_argument|bad_?request|context_length|unprocessable/i, 400],
]

/** Errors of Node's sockets, resolver and HTTP client. */
const NETWORK =
  /^(ECONN|EPIPE|ENOTFOUND|EAI_|EHOST|ENET|EADDR|EPROTO|CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|UND_ERR_(SOCKET|CLOSED|DESTROYED|INFO|ABORTED))/
const TIMEOUT = /^(ETIMEDOUT|ESOCKETTIMEDOUT|UND_ERR_(HEADERS|BODY|CONNECT)_TIMEOUT)$/
const FETCH = /^(fetch failed|terminated|failed to fetch|network)/i
const MAX_CAUSES = 8

/** The machine-readable words of an error's body: `type`, `code`, `status`, `reason`, or `error` as one word, nested or not. */
function errorWords(data: unknown, depth = 0): string[] {
  if (typeof data !== 'object' || data === null || depth > 3) return []
  const words: string[] = []
  for (const [key, value] of Object.entries(data)) {
    if (/^(type|code|status|reason)$/.test(key) && (typeof value === 'string' || typeof value === 'number')) {
      words.push(String(value))
    } else if (key === 'error' && typeof value === 'string' && /^\w+$/.test(value)) {
      words.push(value)
    } else if (/^(error|response|data|innererror)$/.test(key)) {
      words.push(...errorWords(value, depth + 1))
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

/** Milliseconds from `Retry-After` (RFC 9110, section 10.2.3: seconds or a date) or OpenAI's `retry-after-ms`. */
function retryAfter(headers: Readonly<Record<string, string>> | undefined): number | undefined {
  const fine = headers?.['retry-after-ms']
  if (fine !== undefined && /^\d+(\.\d+)?$/.test(fine)) return Math.ceil(Number(fine))
  const value = headers?.['retry-after']?.trim()
  if (value === undefined) return undefined
  if (/^\d+(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000)
  const date = Date.parse(value)
  // By the provider's clock, if it tells its time.
  const now = Date.parse(headers?.date ?? '') || Date.now()
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

function failure(code: ErrorCode, retryable: boolean = ERRORS[code].retryable): ProviderFailure {
  return { code, message: ERRORS[code].message, retryable }
}
