// RunFailure: a failed run as an error of the OpenAI API. Its status tells OpenAI's clients whether they may repeat the request,
// which starts another run.
import type { RunEnded } from '@parley/protocol'
import { type FoundRun, isRetryable, retryWaitMs, textOf } from '../../session/run-report.ts'
import { toParts } from '../../session/state/run-output.ts'
import { idempotencyKeyOf } from '../http/command-id.ts'
import type { StreamingExchange } from '../http/http-exchange.ts'
import { type OpenAiError, openAiError, openAiStatus, shouldRetry } from './openai-error.ts'
import { noticesOf } from './run-notices.ts'

/** The error message of a cancelled run. */
export const CANCELLED = 'The run was cancelled.'

/** Statuses of a provider that say the same about the caller's request. Any other permanent 4xx becomes 400. */
const PASSED: ReadonlySet<number> = new Set([400, 402, 404, 413, 414, 415, 422, 451])

export interface RunFailure {
  readonly status: number
  readonly retryable: boolean
  readonly error: OpenAiError
}

export function runFailure({ error }: Pick<RunEnded, 'error'>): RunFailure {
  if (error === undefined) {
    return { status: openAiStatus('no_active_run'), retryable: false, error: openAiError('no_active_run', CANCELLED) }
  }
  const { code, message, providerStatus = 0 } = error
  const retryable = isRetryable(error)
  const isRefusal = code === 'provider_error' || code === 'context_exceeded'
  const isRefused = isRefusal && !retryable && providerStatus >= 400 && providerStatus < 500
  const refusal = PASSED.has(providerStatus) ? providerStatus : 400
  const status = isRefused ? refusal : openAiStatus(code)
  const answer = openAiError(code, message, { status })
  // The provider's account is exhausted.
  const isSpent = code === 'provider_rate_limited' && !retryable
  const quota = { type: 'insufficient_quota', code: 'insufficient_quota' } as const
  return { status, retryable, error: isSpent ? { ...answer, ...quota } : answer }
}

/** Whether the run failed without an output, so that an HTTP status can be its whole answer. */
export function isFailedAtStart({ record }: FoundRun): boolean {
  return record.ended?.reason === 'failed' && record.output === undefined && record.calls.size === 0
}

/** Answers with the run's error. Its `content` is the text that the model had written, if any. */
export function replyFailed(exchange: StreamingExchange, { record }: FoundRun): void {
  const { ended = {} } = record
  const { status, retryable, error } = runFailure(ended)
  const content = textOf(toParts(record.output))
  const waitMs = retryWaitMs(record)
  exchange.reply(
    status,
    { error: { ...error, ...(content === '' ? {} : { content }) }, ...noticesOf(ended).field },
    {
      // The same key finds the same failed run.
      ...shouldRetry(retryable && idempotencyKeyOf(exchange.request) === undefined),
      ...(waitMs === undefined ? {} : { 'Retry-After': String(Math.ceil(waitMs / 1000)) }),
      ...noticesOf(ended).headers,
    },
  )
}
