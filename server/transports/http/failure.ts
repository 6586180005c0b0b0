// Failure: an error as an HTTP answer: status, headers, and what is told of it. Whatever was not thrown on purpose is
// `internal`, and says nothing of itself.
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
  /** The code's own text. */
  readonly title: string
  /** What is wrong in this case, where more can be said. */
  readonly detail: string | undefined
  /** Where the body or the query is wrong. */
  readonly path: string | undefined
  readonly retryable: boolean
  /** With Retry-After, where it helps to wait. */
  readonly headers: Headers
  /** The connection is of no more use. */
  readonly closes: boolean
}

/** How an error becomes a body. */
export type ErrorShape = (
  failure: Failure,
  requestId: string,
) => {
  readonly body: unknown
  readonly contentType: string
  /** Where it is not the failure's own. */
  readonly status?: number
}

/** Milliseconds after which to come back where nothing says better, and over which those who do are spread. */
const COME_BACK_MS = 1_000
const SPREAD_MS = 3_000
/** What many are told at the same moment. */
const SHARED: ReadonlySet<ProblemCode> = new Set(['unavailable', 'storage_full', 'going_away', 'contended'])

/** @param random from 0 to 1, for the spread */
export function failureOf(error: unknown, random: () => number = Math.random): Failure {
  if (error instanceof HttpError) {
    const { code, detail, more } = error
    const rule = code === 'too_large' ? ERRORS.too_large : HTTP_ERRORS[code]
    const { path, headers = {}, closes = false } = more
    return { code, ...told(code, rule), detail, path, headers, closes }
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
  return { code, ...told(code, rule), detail, path: undefined, headers, closes: false }
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

/** Nobody threw it on purpose: it is a fault of ours. */
export function isFault(error: unknown): boolean {
  return !(error instanceof HttpError) && !(error instanceof ReplyError) && asReplyError(error).code === 'internal'
}

/** What is told to who would be one connection too many. @param limit that stands in the way */
export function tooMany(limit: 'address' | 'total'): ReplyError {
  return limit === 'address'
    ? new ReplyError('rate_limited', 'Too many connections from this address.', { retryAfterMs: 10_000 })
    : new ReplyError('unavailable', 'This node has no room for more.', { retryAfterMs: 10_000 })
}

function told(code: ProblemCode, rule: { readonly retryable: boolean; readonly message: string }) {
  return { status: HTTP_STATUS[code], title: rule.message, retryable: rule.retryable }
}

function asReplyError(error: unknown): ReplyError {
  if (error instanceof ReplyError) return error
  return new ReplyError(codeOf(error), undefined, { cause: error })
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof StorageError) return error.reason === 'full' ? 'storage_full' : 'unavailable'
  // A cursor that is lost again and again, and a wait that ran into its bound.
  return error instanceof CursorLost || error instanceof DOMException ? 'unavailable' : 'internal'
}

function waitMs(code: ErrorCode, given: number | undefined, random: () => number): number | undefined {
  if (!SHARED.has(code)) return given
  return (given ?? COME_BACK_MS) + random() * SPREAD_MS
}
