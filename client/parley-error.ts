// Errors of the SDK: what a server refused, what the connection could not do, and what would have made a
// view wrong. Each has a stable `code`.
import type { ErrorCode } from '@parley/protocol'

/** Codes that come from the SDK itself and never travel on the wire. */
export type LocalErrorCode =
  /** The client or the session was closed before the command was answered. */
  | 'closed'
  /** The connection ended for good: the server's close code says not to come back, or the attempts ran out. */
  | 'disconnected'
  /** More commands wait for an answer than the client keeps. */
  | 'too_many_pending'
  /** What came does not follow on what is held. */
  | 'gap'
  /** The run was begun anew with a different text than what was already read of it. */
  | 'restarted'

/** A command that failed, or a run that did. */
export class ParleyError extends Error {
  override readonly name: string = 'ParleyError'
  readonly code: ErrorCode | LocalErrorCode
  /** Whether the same thing may succeed later. The SDK has already retried a bounded number of times. */
  readonly retryable: boolean
  /** Milliseconds after which it may succeed, where the server says so. */
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode | LocalErrorCode, message: string, retryable = false, retryAfterMs?: number) {
    super(message)
    this.code = code
    this.retryable = retryable
    this.retryAfterMs = retryAfterMs
  }
}

/** An output does not follow on the outputs that are held: showing it would show a wrong text. */
export class GapError extends ParleyError {
  override readonly name = 'GapError'
  readonly run: string
  readonly expected: number
  readonly got: number

  constructor(run: string, expected: number, got: number) {
    super('gap', `Output ${got} of ${run} came where ${expected} was expected.`, true)
    this.run = run
    this.expected = expected
    this.got = got
  }
}

/**
 * `text()` can only add to what it gave: the run's owner died, the run was begun anew, and it says something
 * else now. The session's state and `result()` hold the new text.
 */
export class RestartedError extends ParleyError {
  override readonly name = 'RestartedError'
  readonly run: string

  constructor(run: string) {
    super('restarted', `Run ${run} was begun anew, and its text is another one.`)
    this.run = run
  }
}

/** The connection ended with a close code that says not to come back. */
export class DisconnectedError extends ParleyError {
  override readonly name = 'DisconnectedError'
  /** The WebSocket's close code; 1006 when there was none. */
  readonly closeCode: number

  constructor(closeCode: number, reason: string) {
    super('disconnected', reason === '' ? `The connection was closed (${closeCode}).` : reason)
    this.closeCode = closeCode
  }
}
