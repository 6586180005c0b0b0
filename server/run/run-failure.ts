// failureOf: the error with which a run ends, from what its driver threw.
import { ERRORS, ReplyError, type RunError } from '@parley/protocol'
import type { Logger } from 'pino'
import { loggedCause } from '../model/provider-failure.ts'
import { Conflict, StorageError } from '../store/ports/errors.ts'
import { ModelFailure } from './model-call.ts'

/** @returns undefined if the run itself did not fail: another driver may continue it */
export function failureOf(error: unknown, run: string, logger: Logger): RunError | undefined {
  if (error instanceof ModelFailure) {
    const { cause, code, status } = error
    logger.warn({ ...loggedCause(cause), run, code, status }, 'run failed')
    return error.asRunError()
  }
  // The log is unavailable: a retry may succeed.
  if (error instanceof Conflict || error instanceof StorageError) return undefined
  if (error instanceof ReplyError && error.retryable) return undefined
  // The agent that is to continue, or its model, was removed from the configuration.
  if (error instanceof ReplyError) return { code: error.code, message: error.message, retryable: false }
  logger.error({ err: error, run }, 'run failed inside the server')
  return { code: 'internal', ...ERRORS.internal }
}
