// appendToolResult: ends a tool call with its result. The first result counts.
import { type ErrorCode, wellFormed } from '@parley/protocol'
import { compareAndAppend } from '../session/commands/compare-and-append.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import type { CallState } from '../session/state/call-state.ts'
import { findCall } from '../session/state/session-state.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { ToolOutcome } from '../tool/run-tool.ts'

/** Why a call has no output, for the model; with a code if it asked another agent. */
export interface CallFailure {
  readonly error: string
  readonly code?: ErrorCode
}

/** Appends the result, unless the call has one or `still` is false. */
export async function appendToolResult(
  options: { readonly log: SessionLog; readonly owner: string },
  session: SessionReplica,
  id: string,
  outcome: (ToolOutcome | CallFailure) & { readonly marks?: string },
  still: (call: CallState) => boolean = () => true,
): Promise<void> {
  const given = wellFormed(outcome)
  await compareAndAppend(options.log, session, (state) => {
    const found = findCall(state, id)
    if (found === undefined || found.run.phase === 'ended') return undefined
    const { call } = found
    if (call.result !== undefined || !still(call)) return undefined
    const by = 'output' in outcome ? options.owner : 'server'
    return {
      subject: `tool.${id}`,
      expect: call.last,
      event: { type: 'tool.result', run: call.run, call: id, ...given, by },
    }
  })
}
