// Answers to plain HTTP requests that are known at once: written in one go, with the headers that every
// answer of this server has. Errors are problem+json (RFC 9457) with the same codes as on the WebSocket.

import type { HttpResponse } from 'uWebSockets.js'
import { makeId, type ReplyError } from '@parley/protocol'
import { asBytes } from '../feed/entry-message.ts'
import { asProblem, failureOf } from './failure.ts'
import type { HttpError } from './http-error.ts'
import { type Headers, writeHead } from './response-head.ts'

/** Must be called in the request's own turn, or before the request was aborted. */
export function reply(
  response: HttpResponse,
  status: number,
  headers: Headers,
  body?: string | Uint8Array,
  /** Only the body's length is told, as for HEAD. */
  bodiless = false,
): void {
  const whole = body !== undefined && !bodiless
  // uWS takes an answer without a body for none at all, and ends the process, unless aborts are listened to.
  if (!whole) response.onAborted(() => undefined)
  response.cork(() => {
    writeHead(response, status, headers)
    if (whole) response.end(asBytes(body))
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

/** An error, in the request's own turn, where there is no exchange that would tell it. */
export function replyError(response: HttpResponse, error: ReplyError | HttpError, bodiless = false): void {
  const failure = failureOf(error)
  const id = makeId('req')
  const { body, contentType } = asProblem(failure, id)
  const headers = { 'Content-Type': contentType, 'Cache-Control': 'no-store', 'X-Request-Id': id, ...failure.headers }
  reply(response, failure.status, headers, JSON.stringify(body), bodiless)
}
