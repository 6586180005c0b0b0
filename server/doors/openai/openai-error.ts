// Errors in the shape that clients of the OpenAI API know: {error: {message, type, param, code}}, with its statuses.
import type { ErrorShape, Failure } from '../http/failure.ts'

export interface OpenAiError {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string
}

export const asOpenAiError: ErrorShape = (failure) => ({
  body: { error: openAiError(failure) },
  contentType: 'application/json',
})

export function openAiError({
  code,
  status,
  title,
  detail,
  path,
}: Pick<Failure, 'code' | 'status' | 'title' | 'detail' | 'path'>): OpenAiError {
  return { message: detail ?? title, type: typeOf(status), param: path ?? null, code: CODES[code] ?? code }
}

/** Where that API has a code of its own for the same. */
const CODES: Readonly<Record<string, string>> = {
  unauthenticated: 'invalid_api_key',
  rate_limited: 'rate_limit_exceeded',
  provider_rate_limited: 'rate_limit_exceeded',
  model_not_allowed: 'model_not_found',
}

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}
