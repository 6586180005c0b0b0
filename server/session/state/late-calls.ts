// Late calls: tool calls that an owner appended which had been replaced already. They do not exist. Pure.
import type { EventOf, OutputPart } from '@parley/protocol'
import { hasCall } from './run-output.ts'
import type { RunRecord } from './run-record.ts'

/**
 * An owner that was replaced, and does not know it yet, is fenced by the compare on the run's subject; a call has a
 * subject of its own. So it is the log's order that tells: such a call comes after its successor's start.
 */
export function isLate(
  run: RunRecord,
  event: EventOf<'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.result'>,
): boolean {
  if (event.type !== 'tool.called' || event.epoch === undefined) return false
  return event.epoch < run.epoch && !hasCall(run.output, event.call)
}

/** The start that a late call came after may have been rolled up into what comes after the call. */
export function withoutLate(
  calls: RunRecord['calls'],
  epoch = 0,
  output: readonly OutputPart[] | undefined,
): RunRecord['calls'] {
  if (output === undefined) return calls
  const named = new Set(output.map((part) => (part.type === 'tool' ? part.call : '')))
  const late = [...calls.values()].filter(
    (call) => call.epoch !== undefined && call.epoch < epoch && !named.has(call.id),
  )
  if (late.length === 0) return calls
  const left = new Map(calls)
  for (const call of late) left.delete(call.id)
  return left
}
