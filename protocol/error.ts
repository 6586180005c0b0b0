// Reply errors: the connection lives on. Each code is stable and has a heading in PROTOCOL.md.
// Text that goes with a code is for people, and never carries internals.

interface ErrorRule {
  /** Whether the same command may succeed if it is sent again, with the same id. */
  readonly retryable: boolean
  readonly message: string
}

export const ERRORS = {
  // The frame or command itself
  invalid_frame: { retryable: false, message: 'The frame does not have the shape that its type asks for.' },
  unknown_type: { retryable: false, message: 'No frame has this type.' },
  invalid_cursor: { retryable: false, message: 'The cursor is not one that this server gave.' },
  invalid_tool: { retryable: false, message: 'A tool is not declared as it should be.' },
  command_id_reused: { retryable: false, message: 'This command id was used for a different command.' },
  too_large: { retryable: false, message: 'The command is larger than the limit.' },
  not_attached: { retryable: false, message: 'This connection has not attached the session.' },
  too_many_sessions: { retryable: false, message: 'This connection has attached as many sessions as it may.' },
  rate_limited: { retryable: true, message: 'Too many commands; wait before the next.' },
  too_many_runs: { retryable: true, message: 'You have as many runs under way as you may.' },
  // Identity
  unauthenticated: { retryable: false, message: 'A valid token is needed.' },
  forbidden: { retryable: false, message: 'Your role does not allow this.' },
  invite_invalid: { retryable: false, message: 'The invitation is over, was taken back, or is not for you.' },
  member_not_found: { retryable: false, message: 'There is no such member in this session.' },
  last_owner: { retryable: false, message: 'A session needs an owner.' },
  too_many_members: { retryable: false, message: 'The session has as many members as it may.' },
  // Sessions and runs
  session_not_found: { retryable: false, message: 'There is no such session.' },
  session_deleted: { retryable: false, message: 'The session was deleted.' },
  run_not_found: { retryable: false, message: 'There is no such run in this session.' },
  job_not_found: { retryable: false, message: 'There is no such job.' },
  job_expired: { retryable: false, message: 'The job ended longer ago than its result is kept.' },
  no_active_run: { retryable: false, message: 'No run is active, so there is nothing to cancel.' },
  run_active: { retryable: false, message: 'A run is active, and the policy is to reject.' },
  queue_full: { retryable: true, message: 'Too many runs of this session wait for their turn.' },
  model_not_allowed: { retryable: false, message: 'This server does not offer that model.' },
  agent_not_found: { retryable: false, message: 'This server has no such agent.' },
  parent_not_found: { retryable: false, message: 'This session has no such message to go on from.' },
  // Tools
  call_not_found: { retryable: false, message: 'There is no such tool call in this session.' },
  call_ended: { retryable: false, message: 'The tool call already has its result.' },
  tool_not_declared: { retryable: false, message: 'This connection did not declare the tool.' },
  call_claimed: { retryable: false, message: 'Another connection claimed this call first.' },
  call_not_claimed: { retryable: false, message: 'This connection does not hold the call.' },
  approval_pending: { retryable: false, message: 'The call waits for a decision.' },
  approval_not_needed: { retryable: false, message: 'The call needs no decision.' },
  already_decided: { retryable: false, message: 'Somebody decided first.' },
  invalid_tool_output: { retryable: false, message: 'The result does not fit the schema that the tool declares.' },
  // The server
  unavailable: { retryable: true, message: 'The log cannot be written at the moment.' },
  storage_full: { retryable: true, message: 'The disk that holds the log is full.' },
  going_away: { retryable: true, message: 'This node is about to stop.' },
  contended: { retryable: true, message: 'Too many changed the same thing at once.' },
  internal: { retryable: true, message: 'Something went wrong on the server.' },
  // Why a run failed (in `run.ended`)
  provider_error: { retryable: false, message: 'The model provider answered with an error.' },
  provider_rate_limited: { retryable: true, message: 'The model provider limits the rate of requests.' },
  provider_unauthenticated: { retryable: false, message: 'The model provider refused the credentials.' },
  provider_timeout: { retryable: true, message: 'The model provider was silent for too long.' },
  provider_disconnected: { retryable: true, message: 'The connection to the model provider broke.' },
  provider_garbage: { retryable: false, message: 'The model provider sent something that is not its protocol.' },
  content_filtered: { retryable: false, message: 'The model provider withheld the answer.' },
  step_limit: { retryable: false, message: 'The run used as many model calls as it may.' },
  token_limit: { retryable: false, message: 'The run used as many tokens as it may.' },
  budget_exceeded: { retryable: false, message: 'The tokens of this time are used up.' },
  time_limit: { retryable: false, message: 'The run took as long as it may.' },
  owner_lost: { retryable: false, message: 'Too many owners of this run were lost.' },
} as const satisfies Record<string, ErrorRule>

export type ErrorCode = keyof typeof ERRORS
export const ERROR_CODES = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]

/** A failure that is told to whoever sent the command; the connection lives on. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined

  /** @param message for people; defaults to the code's own text */
  constructor(code: ErrorCode, message?: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message ?? ERRORS[code].message, { cause: options.cause })
    this.code = code
    this.retryable = ERRORS[code].retryable
    this.retryAfterMs = options.retryAfterMs
  }
}
