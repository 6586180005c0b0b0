// HttpFailure: why a request failed, classified by the party that caused it.
import type { ErrorCode } from '@parley/protocol'
import { hasFields } from '../frame-codec.ts'

/**
 * `problem`: the server refused the request. `network`: the server was unreachable, or the answer was cut off.
 * `timeout`: nothing arrived in time. `intermediary`: something else answered instead of the server, or the server has
 * no such endpoint.
 */
export type HttpFailureKind = 'problem' | 'network' | 'timeout' | 'intermediary'

interface Details {
  readonly code?: ErrorCode
  readonly retryable?: boolean
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly kind: HttpFailureKind
  /** The code of a `problem`. */
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

/** HTTP codes, as codes of a command; `intermediary` if the endpoint does not exist. */
const HTTP_ONLY: Readonly<Record<string, ErrorCode | 'intermediary'>> = {
  bad_request: 'invalid_frame',
  body_timeout: 'unavailable',
  not_found: 'intermediary',
  method_not_allowed: 'intermediary',
  not_acceptable: 'intermediary',
  unsupported_media_type: 'intermediary',
  upgrade_required: 'intermediary',
}

/** Statuses with which gateways report that the server is unreachable. */
const GATEWAY: ReadonlySet<number> = new Set([408, 502, 503, 504])

/** Reads the body of an unsuccessful answer. */
export async function failureOf(response: Response): Promise<HttpFailure> {
  const { status, headers } = response
  const retryAfterMs = retryAfter(headers.get('retry-after'), Date.parse(headers.get('date') ?? '') || undefined)
  const problem = hasMediaType(response, 'application/problem+json')
    ? await response.json().catch(() => undefined)
    : undefined
  if (isProblem(problem)) {
    const code = HTTP_ONLY[problem.code] ?? (problem.code as ErrorCode)
    const message = problem.detail ?? problem.title ?? 'The server refused the request.'
    if (code === 'intermediary') return new HttpFailure('intermediary', message)
    return new HttpFailure('problem', message, { code, retryable: problem.retryable === true, retryAfterMs })
  }
  await response.body?.cancel().catch(() => undefined)
  const message = `Received status ${status} from something other than Parley. Check the URL and proxies in between.`
  return new HttpFailure(GATEWAY.has(status) ? 'network' : 'intermediary', message, { retryAfterMs })
}

export function hasMediaType(response: Response, mediaType: string): boolean {
  return (response.headers.get('content-type') ?? '').toLowerCase().startsWith(mediaType)
}

/**
 * @param value seconds, or a date (RFC 9110, section 10.2.3)
 * @param now the server's time, because the clock of the device may be wrong
 * @returns milliseconds, at most an hour
 */
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

function isProblem(value: unknown): value is ProblemLike & Record<string, unknown> {
  return hasFields(value, { code: 'string' })
}
