// Immediate answers to HTTP requests outside the router. Errors are problem+json (RFC 9457) with the same codes as on
// the WebSocket.

import { makeId, type ReplyError } from '@parley/protocol'
import { asBytes } from '../feed/entry-message.ts'
import type { HttpResponse } from '../uws.ts'
import { asProblem, type ErrorShape, failureOf } from './failure.ts'
import type { HttpError } from './http-error.ts'
import type { Headers } from './response-head.ts'
import { sendAnswer } from './send-answer.ts'

/** Must be called in the request handler's turn, or before the request is aborted. */
export function reply(
  response: HttpResponse,
  status: number,
  headers: Headers,
  body?: string | Uint8Array,
  /** Sends only the length of the body, as for HEAD. */
  bodiless = false,
): void {
  let isOpen = true
  response.onAborted(() => {
    isOpen = false
  })
  const sent = body === undefined ? undefined : asBytes(body)
  // Without a body, the answer has no length either.
  sendAnswer(
    response,
    { status, headers, body: sent, bodiless: bodiless || sent === undefined },
    { isOpen: () => isOpen, ended: () => undefined },
  )
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
