// HttpError: an error of the HTTP layer itself. A refused command is a ReplyError, as on the WebSocket. failure.ts turns
// both into an answer.
import { HTTP_ERRORS, type HttpErrorCode } from '@parley/protocol'
import type { Headers } from './response-head.ts'

export interface HttpErrorMore {
  /** The invalid part of the body or query: names and indexes, joined with dots. */
  readonly path?: string
  readonly headers?: Headers
  /** Closes the connection instead of reading the rest of the request. */
  readonly closes?: boolean
  readonly cause?: unknown
}

export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly code: HttpErrorCode | 'too_large'
  readonly detail: string | undefined
  readonly more: HttpErrorMore

  /** @param detail a sentence for people about this case; never contains client input or internals */
  constructor(code: HttpErrorCode | 'too_large', detail?: string, more: HttpErrorMore = {}) {
    super(detail ?? (code === 'too_large' ? 'The request is too large.' : HTTP_ERRORS[code].message), {
      cause: more.cause,
    })
    this.code = code
    this.detail = detail
    this.more = more
  }
}
