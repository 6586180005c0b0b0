// OpenAiError: an error in the format of the OpenAI API, `{ error: { message, type, param, code } }`. If OpenAI has no
// equivalent code, it is Parley's.
import { HTTP_STATUS, type ProblemCode } from '@parley/protocol'
import type { ErrorShape } from '../http/failure.ts'
import type { Headers } from '../http/response-head.ts'

export interface OpenAiError {
  readonly message: string
  readonly type: 'invalid_request_error' | 'rate_limit_error' | 'insufficient_quota' | 'server_error'
  readonly param: string | null
  readonly code: string | null
}

/** OpenAI's codes that differ; null if OpenAI uses none. */
const CODES: Readonly<Partial<Record<ProblemCode, string | null>>> = {
  bad_request: null,
  unauthenticated: 'invalid_api_key',
  model_not_allowed: 'model_not_found',
  rate_limited: 'rate_limit_exceeded',
  queue_full: 'rate_limit_exceeded',
  too_many_runs: 'rate_limit_exceeded',
  budget_exceeded: 'insufficient_quota',
  provider_rate_limited: 'rate_limit_exceeded',
  content_filtered: 'content_filter',
  context_exceeded: 'context_length_exceeded',
  // The run was cancelled.
  no_active_run: 'cancelled',
}

/** OpenAI's statuses that differ. */
const STATUSES: Readonly<Partial<Record<ProblemCode, number>>> = {
  model_not_allowed: 404,
  content_filtered: 400,
  option_unsupported: 400,
  context_exceeded: 400,
  // The server's key for the provider is not the caller's: 401 would make clients doubt their access token.
  provider_unauthenticated: 403,
  // OpenAI's clients retry 409.
  no_active_run: 422,
}

/** The detail of the error for a `previous_response_id` that names no response. */
export const RESPONSE_NOT_FOUND = 'Response not found.'

const PARAMS: Readonly<Partial<Record<ProblemCode, string>>> = { model_not_allowed: 'model' }

export const asOpenAiError: ErrorShape = ({ code, detail, title, path, retryable }) => {
  const status = openAiStatus(code)
  const param = path === undefined ? (PARAMS[code] ?? null) : paramOf(path)
  const made = openAiError(code, detail ?? title, { status, param })
  const isPrevious = param === 'previous_response_id' && detail === RESPONSE_NOT_FOUND
  const error = isPrevious ? { ...made, code: 'previous_response_not_found' } : made
  return { body: { error }, contentType: 'application/json', status, headers: shouldRetry(retryable) }
}

/** Otherwise OpenAI's clients repeat every 408, 409, 429 and 5xx, also where another run would fail for the same reason. */
export function shouldRetry(retryable: boolean): Headers {
  return { 'X-Should-Retry': String(retryable) }
}

export function openAiError(
  code: ProblemCode,
  message: string,
  { status = openAiStatus(code), param = null }: { readonly status?: number; readonly param?: string | null } = {},
): OpenAiError {
  const known = CODES[code]
  return { message, type: typeOf(code, status), param, code: known === undefined ? code : known }
}

function typeOf(code: ProblemCode, status: number): OpenAiError['type'] {
  // async-openai takes this type for permanent, and retries any other 429.
  if (code === 'budget_exceeded') return 'insufficient_quota'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

export function openAiStatus(code: ProblemCode): number {
  return STATUSES[code] ?? HTTP_STATUS[code]
}

/** `messages.0.content` as `messages[0].content`. */
function paramOf(path: string): string {
  return path.replace(/^query\./, '').replace(/\.(\d+)(?=\.|$)/g, '[$1]')
}
