// Immediate answers to HTTP requests outside the router. Errors are problem+json (RFC 9457) with the same codes as on
// the WebSocket.

import { makeId, type ReplyError } from '@parley/protocol'
import { asBytes } from '../feed/entry-message.ts'
import type { HttpResponse } from '../uws.ts'
import { asProblem, type ErrorShape, failureOf } from './failure.ts'
import type { HttpError } from './http-error.ts'
import { type Headers, writeHead } from './response-head.ts'

/** Must be called in the request handler's turn, or before the request is aborted. */
export function reply(
  response: HttpResponse,
  status: number,
  headers: Headers,
  body?: string | Uint8Array,
  /** Sends only the length of the body, as for HEAD. */
  bodiless = false,
): void {
  const hasBody = body !== undefined && !bodiless
  // Without an abort listener, uWS takes an answer without a body for a missing one, and ends the process.
  if (!hasBody) response.onAborted(() => undefined)
  response.cork(() => {
    writeHead(response, status, headers)
    if (hasBody) response.end(asBytes(body))
    else if (body === undefined) response.endWithoutBody()
    else response.endWithoutBody(body.length)
  })
}

export function replyJson(
  response: HttpResponse,
  status: number,
  value: unknown,
  headers: Headers = {},
  bodiless = false,
): void {
  const all = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers }
  reply(response, status, all, JSON.stringify(value), bodiless)
}

/** Sends an error in the request handler's turn, for requests without an exchange. */
export function replyError(
  response: HttpResponse,
  error: ReplyError | HttpError,
  bodiless = false,
  shape: ErrorShape = asProblem,
): void {
  const failure = failureOf(error)
  const id = makeId('req')
  const { body, contentType, status = failure.status, headers: more = {} } = shape(failure, id)
  const headers = {
    'Content-Type': contentType,
    'Cache-Control': 'no-store',
    'X-Request-Id': id,
    ...failure.headers,
    ...more,
  }
  reply(response, status, headers, JSON.stringify(body), bodiless)
}
