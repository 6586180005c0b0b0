// OpenAiError: an error in the format of the OpenAI API, `{ error: { message, type, param, code } }`. If OpenAI has no
// equivalent code, it is Parley's.
import { HTTP_STATUS, type ProblemCode } from '@parley/protocol'
import type { ErrorShape } from '../http/failure.ts'

export interface OpenAiError {
  readonly message: string
  readonly type: 'invalid_request_error' | 'rate_limit_error' | 'server_error'
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
  // The run was cancelled.
  no_active_run: 'cancelled',
}

/** OpenAI's statuses that differ. */
const STATUSES: Readonly<Partial<Record<ProblemCode, number>>> = {
  model_not_allowed: 404,
  content_filtered: 400,
  option_unsupported: 400,
  // OpenAI's clients retry 409.
  no_active_run: 422,
}

const PARAMS: Readonly<Partial<Record<ProblemCode, string>>> = { model_not_allowed: 'model' }

export const asOpenAiError: ErrorShape = ({ code, detail, title, path }) => {
  const error = openAiError(code, detail ?? title, path)
  return { body: { error }, contentType: 'application/json', status: openAiStatus(code) }
}

/** @param path names and indexes, joined with dots */
export function openAiError(code: ProblemCode, message: string, path?: string): OpenAiError {
  const status = openAiStatus(code)
  const type = status === 429 ? 'rate_limit_error' : status >= 500 ? 'server_error' : 'invalid_request_error'
  const known = CODES[code]
  const param = path === undefined ? (PARAMS[code] ?? null) : paramOf(path)
  return { message, type, param, code: known === undefined ? code : known }
}

export function openAiStatus(code: ProblemCode): number {
  return STATUSES[code] ?? HTTP_STATUS[code]
}

/** `messages.0.content` as `messages[0].content`. */
function paramOf(path: string): string {
  return path.replace(/^query\./, '').replace(/\.(\d+)(?=\.|$)/g, '[$1]')
}
