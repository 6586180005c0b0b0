// instrumented: measures and traces a model call, if metrics or traces are on.
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { ModelFinish } from './model-answer.ts'
import { ModelFailure } from './model-call.ts'
import type { RunTrace } from './run-trace.ts'

export interface InstrumentedCall {
  readonly model: string
  readonly maxTokens: number
  /** From 1. */
  readonly attempt: number
}

/** Records the duration and the failure of the call. Resolves or rejects as the call does. */
export async function instrumented(
  metrics: RunMetrics | undefined,
  trace: RunTrace | undefined,
  { model, maxTokens, attempt }: InstrumentedCall,
  call: () => Promise<ModelFinish>,
): Promise<ModelFinish> {
  const began = performance.now()
  let failure = '_OTHER'
  try {
    const finish = await (trace === undefined ? call() : trace.called(model, maxTokens, attempt, call))
    failure = ''
    return finish
  } catch (error) {
    failure = error instanceof ModelFailure ? error.code : 'cancelled'
    throw error
  } finally {
    metrics?.modelCalled(model, (performance.now() - began) / 1000, failure)
  }
}
