// The SDK's errors: commands that the server refused, failures of the connection, and log entries that would corrupt a
// view. Each error has a stable `code`.
import type { ErrorCode } from '@parley/protocol'

/** Codes of errors that the SDK creates itself. They never travel on the wire. */
export type LocalErrorCode =
  /** The client or the session was closed, before the command was answered or before it was sent. */
  | 'closed'
  /** The connection ended permanently: the close code forbids a reconnect, or all attempts failed. */
  | 'disconnected'
  /** The client already has as many unanswered commands as `maxPending` allows. */
  | 'too_many_pending'
  /** A log entry does not follow the entries that the client has. */
  | 'gap'
  /** The run restarted and generated a different text than `text()` has already returned. */
  | 'restarted'

/**
 * A failed command, or a failed run.
 * @example
 * try {
 *   await session.cancel()
 * } catch (error) {
 *   if (!(error instanceof ParleyError) || error.code !== 'no_active_run') throw error
 * }
 */
export class ParleyError extends Error {
  override readonly name: string = 'ParleyError'
  readonly code: ErrorCode | LocalErrorCode
  /** Whether the same command may succeed later. The SDK has already retried it a limited number of times. */
  readonly retryable: boolean
  /** Milliseconds after which a retry may succeed, if the server named a time. */
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode | LocalErrorCode, message: string, retryable = false, retryAfterMs?: number) {
    super(message)
    this.code = code
    this.retryable = retryable
    this.retryAfterMs = retryAfterMs
  }
}

/** The error of a refused command or a failed run, as the server reports it. */
export function refusal({ code, message, retryable, retryAfterMs }: Refusal): ParleyError {
  return new ParleyError(code, message, retryable, retryAfterMs)
}

interface Refusal {
  readonly code: ErrorCode
  readonly message: string
  readonly retryable?: boolean | undefined
  readonly retryAfterMs?: number | undefined
}

/** What a failure of any kind says. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** An output does not follow the outputs that the client has. Applying it would show a wrong text. */
export class GapError extends ParleyError {
  override readonly name = 'GapError'
  readonly run: string
  readonly expected: number
  readonly got: number

  constructor(run: string, expected: number, got: number) {
    super('gap', `Run ${run}: received output ${got}, expected ${expected}.`, true)
    this.run = run
    this.expected = expected
    this.got = got
  }
}

/**
 * Thrown by `text()`, which can only append: the run's driver died, and the restarted run generated a different text.
 * The session's state and `result()` have the new text.
 */
export class RestartedError extends ParleyError {
  override readonly name = 'RestartedError'
  readonly run: string

  constructor(run: string) {
    super('restarted', `Run ${run} restarted and generated a different text.`)
    this.run = run
  }
}

/** The connection ended with a close code that forbids a reconnect. */
export class DisconnectedError extends ParleyError {
  override readonly name = 'DisconnectedError'
  /** The WebSocket's close code; 1006 if there was none. */
  readonly closeCode: number

  constructor(closeCode: number, reason: string) {
    super('disconnected', reason === '' ? `The connection was closed (${closeCode}).` : reason)
    this.closeCode = closeCode
  }
}
