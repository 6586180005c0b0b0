// HttpError: a request that plain HTTP itself refuses. What a command is refused with is a ReplyError, as on the
// WebSocket; both become the same kind of answer (failure.ts).
import { HTTP_ERRORS, type HttpErrorCode } from '@parley/protocol'
import type { Headers } from './response-head.ts'

export interface HttpErrorMore {
  /** Where the body or the query is wrong: names and indexes, with dots. */
  readonly path?: string
  readonly headers?: Headers
  /** The rest of the request is not worth reading. */
  readonly closes?: boolean
  readonly cause?: unknown
}

export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly code: HttpErrorCode | 'too_large'
  readonly detail: string | undefined
  readonly more: HttpErrorMore

  /** @param detail what is wrong in this case, for people; never what the client sent, nor internals */
  constructor(code: HttpErrorCode | 'too_large', detail?: string, more: HttpErrorMore = {}) {
    super(detail ?? (code === 'too_large' ? 'the request is too large' : HTTP_ERRORS[code].message), {
      cause: more.cause,
    })
    this.code = code
    this.detail = detail
    this.more = more
  }
}
