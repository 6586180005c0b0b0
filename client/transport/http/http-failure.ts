// HttpFailure: why a request did not bring what it was to bring, told apart by who is to blame.
import type { ErrorCode } from '@parley/protocol'

/**
 * `problem`: the server refused it. `network`: the server was not reached, or the answer broke off. `late`: nothing
 * came in time. `foreign`: something on the way answered in the server's place, or the server has no such door.
 */
export type HttpFailureKind = 'problem' | 'network' | 'late' | 'foreign'

interface Details {
  readonly code?: ErrorCode
  readonly retryable?: boolean
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly kind: HttpFailureKind
  /** Of a problem. */
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined

  constructor(kind: HttpFailureKind, message: string, details: Details = {}) {
    super(message, { cause: details.cause })
    this.kind = kind
    this.code = details.code ?? 'unavailable'
    this.retryable = details.retryable ?? kind !== 'problem'
    this.retryAfterMs = details.retryAfterMs
  }
}

/** Codes that only HTTP knows: what they are to a command, or `foreign` where the address itself is not taken. */
const HTTP_ONLY: Readonly<Record<string, ErrorCode | 'foreign'>> = {
  bad_request: 'invalid_frame',
  body_timeout: 'unavailable',
  not_found: 'foreign',
  method_not_allowed: 'foreign',
  not_acceptable: 'foreign',
  unsupported_media_type: 'foreign',
  upgrade_required: 'foreign',
}

/** What a gateway says when it does not reach the server. */
const GATEWAY: ReadonlySet<number> = new Set([408, 502, 503, 504])

/** Reads the body of an answer that is no success. */
export async function failureOf(response: Response): Promise<HttpFailure> {
  const { status } = response
  const retryAfterMs = retryAfter(response.headers.get('retry-after'))
  const problem = isOf(response, 'application/problem+json') ? await response.json().catch(() => undefined) : undefined
  if (isProblem(problem)) {
    const code = HTTP_ONLY[problem.code] ?? (problem.code as ErrorCode)
    const message = problem.detail ?? problem.title ?? 'The server refused the request.'
    if (code === 'foreign') return new HttpFailure('foreign', message)
    return new HttpFailure('problem', message, { code, retryable: problem.retryable === true, retryAfterMs })
  }
  await response.body?.cancel().catch(() => undefined)
  const message = `The request was answered with status ${status}, and not by Parley.`
  return new HttpFailure(GATEWAY.has(status) ? 'network' : 'foreign', message, { retryAfterMs })
}

export function isOf(response: Response, mediaType: string): boolean {
  return (response.headers.get('content-type') ?? '').toLowerCase().startsWith(mediaType)
}

/** @param value seconds, or a date (RFC 9110, section 10.2.3) @returns milliseconds, at most an hour */
export function retryAfter(value: string | null, now: number = Date.now()): number | undefined {
  if (value === null) return undefined
  const ms = /^[0-9]+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS)
}

const RETRY_AFTER_MAX_MS = 60 * 60_000

interface ProblemLike {
  readonly code: string
  readonly title?: string
  readonly detail?: string
  readonly retryable?: boolean
}

function isProblem(value: unknown): value is ProblemLike {
  return typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string'
}
