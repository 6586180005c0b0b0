// Reply errors: the command failed, and the connection stays open. Each code is stable and has a heading in
// PROTOCOL.md. The texts are for people and never contain internals.

interface ErrorRule {
  /** Whether the same command may succeed if it is sent again with the same id. */
  readonly retryable: boolean
  readonly message: string
}

export const ERRORS = {
  // The frame or command itself
  invalid_frame: { retryable: false, message: 'Invalid frame.' },
  unknown_type: { retryable: false, message: 'Unknown frame type.' },
  invalid_cursor: { retryable: false, message: 'Invalid cursor.' },
  invalid_tool: { retryable: false, message: 'Invalid tool declaration.' },
  command_id_reused: { retryable: false, message: 'This command id was already used for a different command.' },
  too_large: { retryable: false, message: 'The command exceeds the size limit.' },
  not_attached: { retryable: false, message: 'This connection is not attached to the session.' },
  too_many_sessions: { retryable: false, message: 'Limit of attached sessions reached.' },
  rate_limited: { retryable: true, message: 'Too many requests. Wait before you retry.' },
  too_many_runs: { retryable: true, message: 'Limit of concurrent runs reached.' },
  // Identity
  unauthenticated: { retryable: false, message: 'A valid access token is required.' },
  forbidden: { retryable: false, message: 'You do not have permission to do this.' },
  origin_not_allowed: { retryable: false, message: 'The origin or host of this request is not allowed.' },
  invite_invalid: { retryable: false, message: 'This invitation has expired, was revoked, or is for someone else.' },
  member_not_found: { retryable: false, message: 'Member not found.' },
  last_owner: { retryable: false, message: 'Make someone else an owner first.' },
  too_many_members: { retryable: false, message: 'Member or invitation limit reached.' },
  // Sessions and runs
  session_not_found: { retryable: false, message: 'Session not found.' },
  session_deleted: { retryable: false, message: 'This session was deleted.' },
  run_not_found: { retryable: false, message: 'Run not found in this session.' },
  job_not_found: { retryable: false, message: 'Job not found.' },
  job_expired: { retryable: false, message: 'The result of this job has expired.' },
  no_active_run: { retryable: false, message: 'There is no active run to cancel.' },
  run_active: { retryable: false, message: 'Another run is active.' },
  queue_full: { retryable: true, message: 'Limit of queued runs reached.' },
  model_not_allowed: { retryable: false, message: 'This server does not offer that model.' },
  agent_not_found: { retryable: false, message: 'Agent not found.' },
  run_cancelled: { retryable: false, message: 'The run was cancelled.' },
  depth_limit: { retryable: false, message: 'Agents already ask one another as deep as they may.' },
  children_limit: { retryable: false, message: 'The run has already begun as many child runs as it may.' },
  parent_not_found: { retryable: false, message: 'The parent message is not in this session.' },
  // Tools
  call_not_found: { retryable: false, message: 'Tool call not found in this session.' },
  call_ended: { retryable: false, message: 'The tool call has already ended.' },
  tool_not_declared: { retryable: false, message: 'This connection did not declare the tool.' },
  call_claimed: { retryable: false, message: 'Another connection has claimed this call.' },
  call_not_claimed: { retryable: false, message: 'This connection has not claimed the call.' },
  approval_pending: { retryable: false, message: 'The call is waiting for approval.' },
  approval_not_needed: { retryable: false, message: 'The call needs no approval.' },
  already_decided: { retryable: false, message: 'Someone else has already decided.' },
  question_not_found: { retryable: false, message: 'The tool call has no such question.' },
  question_closed: { retryable: false, message: 'The question is no longer open.' },
  invalid_answer: { retryable: false, message: 'The answer does not match the form.' },
  invalid_tool_input: {
    retryable: false,
    message: 'The input does not match the schema that this connection declared.',
  },
  invalid_tool_output: { retryable: false, message: 'The result does not match the output schema of the tool.' },
  // The server
  unavailable: { retryable: true, message: 'Storage is temporarily unavailable.' },
  storage_full: { retryable: true, message: 'Storage is full.' },
  going_away: { retryable: true, message: 'This node is shutting down.' },
  contended: { retryable: true, message: 'Too many concurrent changes.' },
  internal: { retryable: true, message: 'Internal server error.' },
  // Reasons why a run failed (in `run.ended`)
  provider_error: { retryable: false, message: 'The model provider returned an error.' },
  provider_rate_limited: { retryable: true, message: 'The rate limit of the model provider was exceeded.' },
  provider_unauthenticated: { retryable: false, message: 'The model provider rejected the credentials.' },
  provider_timeout: { retryable: true, message: 'The model provider timed out.' },
  provider_disconnected: { retryable: true, message: 'The connection to the model provider was lost.' },
  provider_garbage: { retryable: false, message: 'The model provider sent an invalid response.' },
  content_filtered: { retryable: false, message: 'The model provider withheld the answer.' },
  option_unsupported: { retryable: false, message: 'The model does not support an option of the request.' },
  context_exceeded: { retryable: false, message: 'The message is too long for the model.' },
  step_limit: { retryable: false, message: 'The run reached its limit of model calls.' },
  token_limit: { retryable: false, message: 'The run reached its token limit.' },
  budget_exceeded: { retryable: false, message: 'Token budget exhausted.' },
  time_limit: { retryable: false, message: 'The run reached its time limit.' },
  owner_lost: { retryable: false, message: 'The run lost its driver too many times.' },
} as const satisfies Record<string, ErrorRule>

export type ErrorCode = keyof typeof ERRORS
export const ERROR_CODES = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]

/** A failure that the sender of the command receives. The connection stays open. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined

  /** @param message for people; default: the code's own text */
  constructor(code: ErrorCode, message?: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message ?? ERRORS[code].message, { cause: options.cause })
    this.code = code
    this.retryable = ERRORS[code].retryable
    this.retryAfterMs = options.retryAfterMs
  }
}
