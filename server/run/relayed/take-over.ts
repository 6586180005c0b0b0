// takeOver: how a driver begins a run. If a relay still has the response to the last driver's request, the run continues with that
// response. Otherwise recovery.ts decides, from the log alone.
import type { RelayedRequest } from '@parley/protocol'
import type { RunMetrics } from '../../metric/run-metrics.ts'
import type { Model } from '../../model/model.ts'
import { RelayLostError } from '../../model/relayed-response.ts'
import { toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { type Recovery, recover } from '../recovery.ts'
import { type RelayPort, streamKey } from './relayed-calls.ts'
import { ReplayMismatch } from './replayed-step.ts'

export interface TakeOver {
  readonly recovery: Recovery
  /** The first request; undefined if no relay will keep its response. */
  readonly request: RelayedRequest | undefined
  /** Whether a relay has the response to that request already. */
  readonly isFound: boolean
}

export interface TakeOverOptions {
  readonly relay?: RelayPort | undefined
  readonly metrics?: RunMetrics | undefined
  /** `restart`: the model does not continue from stored text. */
  readonly recovery?: 'continue' | 'restart' | undefined
}

/** Asks the relay before this driver's `run.started`: from then on, the last driver can no longer end the response. */
export async function takeOver(
  record: RunRecord,
  model: Model,
  { relay, metrics, recovery: mode }: TakeOverOptions,
): Promise<TakeOver> {
  const isRelayed = relay !== undefined && model.relayed === true
  const { request } = record
  if (isRelayed && request?.model === model.id && !record.unreturned) {
    const isFound = await relay.find({ key: request.stream, attempt: record.epoch + 1, mode: 'resume' })
    metrics?.relayed(isFound ? 'resumed' : 'unknown')
    if (isFound) {
      const kept = toParts(record.output)
      const recovery = { mode: 'continue' as const, kept, step: request.step, awaitResults: false }
      return { recovery, request, isFound }
    }
  }
  const recovery = recover(record, mode === 'restart' ? { ...model, prefill: 'none' } : model)
  if (!isRelayed || recovery.awaitResults) return { recovery, request: undefined, isFound: false }
  const first = { stream: streamKey(), step: recovery.step, next: record.next, model: model.id }
  return { recovery, request: first, isFound: false }
}

/** The driver cannot continue the answer of a model call. The next attempt continues from the log. */
export class AnswerLost extends Error {
  override readonly name = 'AnswerLost'
}

/** Searches an error and its causes for the loss of a relayed answer. */
export function lostAnswer(error: unknown): AnswerLost | undefined {
  let cause = error
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth += 1) {
    if (cause instanceof AnswerLost) return cause
    if (cause instanceof RelayLostError || cause instanceof ReplayMismatch) {
      return new AnswerLost(cause.message, { cause })
    }
    cause = cause.cause
  }
  return undefined
}

const MAX_CAUSES = 5
