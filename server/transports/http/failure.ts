// Failure: an error as an HTTP answer: status, headers and text. An unexpected error becomes `internal`, without details.
import {
  ERRORS,
  type ErrorCode,
  HTTP_ERRORS,
  HTTP_STATUS,
  type Problem,
  type ProblemCode,
  ReplyError,
} from '@parley/protocol'
import { CursorLost, StorageError } from '../../store/ports/errors.ts'
import { HttpError } from './http-error.ts'
import type { Headers } from './response-head.ts'

export interface Failure {
  readonly code: ProblemCode
  readonly status: number
  /** The standard text of the code. */
  readonly title: string
  /** More about this case, if known. */
  readonly detail: string | undefined
  /** The invalid part of the body or query. */
  readonly path: string | undefined
  readonly retryable: boolean
  /** Contain Retry-After if waiting helps. */
  readonly headers: Headers
  /** Whether to close the connection. */
  readonly closes: boolean
}

/** Formats an error as a body. */
export type ErrorShape = (
  failure: Failure,
  requestId: string,
) => {
  readonly body: unknown
  readonly contentType: string
  /** Overrides the status of the failure. */
  readonly status?: number
  /** Headers besides those of the failure. */
  readonly headers?: Headers
}

/** Default Retry-After in milliseconds, and the range over which retries are spread. */
const RETRY_MS = 1_000
const JITTER_MS = 3_000
/** Errors that many clients get at the same moment, so that their retries must be spread. */
const JITTERED_CODES: ReadonlySet<ProblemCode> = new Set(['unavailable', 'storage_full', 'contended'])
/** The next node is free: a client of a load balancer should not wait for the one that shuts down. */
const GOING_AWAY_MS = 1_000

/** @param random in [0, 1), spreads the retries */
export function failureOf(error: unknown, random: () => number = Math.random): Failure {
  if (error instanceof HttpError) {
    const { code, detail, more } = error
    const rule = code === 'too_large' ? ERRORS.too_large : HTTP_ERRORS[code]
    const { path, headers = {}, closes = false } = more
    return { code, ...describe(code, rule), detail, path, headers, closes }
  }
  const reply = asReplyError(error)
  const { code, retryAfterMs } = reply
  const rule = ERRORS[code]
  const detail = reply.message === rule.message ? undefined : reply.message
  const wait = waitMs(code, retryAfterMs, random)
  const headers: Headers = {
    ...(wait === undefined ? {} : { 'Retry-After': String(Math.ceil(wait / 1000)) }),
    ...(code === 'unauthenticated' ? { 'WWW-Authenticate': 'Bearer' } : {}),
  }
  return { code, ...describe(code, rule), detail, path: undefined, headers, closes: false }
}

/** `application/problem+json` (RFC 9457). */
export const asProblem: ErrorShape = (failure, requestId) => {
  const { title, status, code, detail, path, retryable } = failure
  const body: Problem = {
    type: 'about:blank',
    title,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(path === undefined ? {} : { path }),
    retryable,
    requestId,
  }
  return { body, contentType: 'application/problem+json' }
}

/** Whether the error is a defect of the server. */
export function isFault(error: unknown): boolean {
  return !(error instanceof HttpError) && !(error instanceof ReplyError) && asReplyError(error).code === 'internal'
}

/** @param limit the limit that was reached */
export function tooManyConnections(limit: 'address' | 'total'): ReplyError {
  return limit === 'address'
    ? new ReplyError('rate_limited', 'Too many connections from this address.', { retryAfterMs: 10_000 })
    : new ReplyError('unavailable', 'This node has reached its connection limit.', { retryAfterMs: 10_000 })
}

function describe(code: ProblemCode, rule: { readonly retryable: boolean; readonly message: string }) {
  return { status: HTTP_STATUS[code], title: rule.message, retryable: rule.retryable }
}

/** An unexpected error becomes `internal`. */
export function asReplyError(error: unknown): ReplyError {
  if (error instanceof ReplyError) return error
  return new ReplyError(codeOf(error), undefined, { cause: error })
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof StorageError) return error.reason === 'full' ? 'storage_full' : 'unavailable'
  // CursorLost: the log was trimmed faster than it was read. DOMException: a timeout.
  return error instanceof CursorLost || error instanceof DOMException ? 'unavailable' : 'internal'
}

function waitMs(code: ErrorCode, given: number | undefined, random: () => number): number | undefined {
  // Retry-After has whole seconds: half of the clients retry at once.
  if (code === 'going_away') return Math.round(random()) * GOING_AWAY_MS
  if (!JITTERED_CODES.has(code)) return given
  return (given ?? RETRY_MS) + random() * JITTER_MS
}
