// The answer to a path under /v1 that nobody serves. The API of OpenAI and Parley's own share /v1. OpenAI's clients
// cannot read `application/problem+json`: async-openai reports a missing field, go-openai no message at all.
import type { UnknownPath } from '../http/health.ts'
import { asOpenAiError } from './openai-error.ts'

/** The first segments after /v1 of Parley's own paths, whose clients expect problem documents. */
const OWN_SEGMENT = /^\/v1\/(sessions|hello|me|ws|ag-ui)(\/|$)/

const UNKNOWN: UnknownPath = {
  shape: asOpenAiError,
  detail:
    'This server does not offer this endpoint. It offers /v1/chat/completions, /v1/completions, /v1/responses and /v1/models.',
}

/** @returns undefined for a path outside the API of OpenAI */
export function unknownOpenAiPath(path: string): UnknownPath | undefined {
  const isOpenAi = /^\/v1(\/|$)/.test(path) && !OWN_SEGMENT.test(path)
  return isOpenAi ? UNKNOWN : undefined
}
