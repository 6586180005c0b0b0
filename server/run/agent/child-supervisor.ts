// childOutcome: waits for the run of an agent that another one asked, whichever node drives it. The child exists with its parent's call, so
// the next driver of the parent waits for the same child and never begins another.
import { cutText, ERRORS, LIMITS } from '@parley/protocol'
import { textOf } from '../../session/run-report.ts'
import type { SessionReplica } from '../../session/session-replica.ts'
import type { CallState } from '../../session/state/call-state.ts'
import { isChild, mayStart } from '../../session/state/child-runs.ts'
import { toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { findRun, type SessionState } from '../../session/state/session-state.ts'
import type { ToolOutcome } from '../../tool/run-tool.ts'
import type { CallFailure } from '../tool-result.ts'

export interface ChildOptions {
  /** Offers a child run to the run queue. Idempotent. @throws StorageError */
  readonly offerChild: (run: string, call: string) => Promise<void>
}

/** UTF-16 code units of an answer that a model gets as the result of its call. A unit has at most three bytes. */
const ANSWER_CHARS = Math.floor(LIMITS.toolOutputBytes / 3)

/** Resolves when the child has ended. Rejects with the signal's reason. */
export async function childOutcome(
  { offerChild }: ChildOptions,
  session: SessionReplica,
  { id: call, run: parent }: Pick<CallState, 'id' | 'run'>,
  { run, agent }: NonNullable<CallState['child']>,
  signal: AbortSignal,
): Promise<ToolOutcome | CallFailure> {
  const before = await session.until(
    (state) => (isOffered(state, run) ? { record: findRun(state, run) } : undefined),
    signal,
  )
  if (before.record !== undefined && before.record.phase !== 'ended') await offerChild(run, call)
  const after = await session.until((state) => {
    const record = findRun(state, run)
    // Its children end first. A further model call of the parent would be for nothing.
    if (session.isEnding(parent)) return undefined
    return record === undefined || record.phase === 'ended' ? { record } : undefined
  }, signal)
  return outcomeOf(after.record, agent)
}

/** Whether the child may start, or needs to no more. */
function isOffered(state: SessionState, run: string): boolean {
  const child = findRun(state, run)
  return child === undefined || child.phase === 'ended' || !isChild(child) || mayStart(state, child)
}

function outcomeOf(record: RunRecord | undefined, agent: string): ToolOutcome | CallFailure {
  const ended = record?.ended
  if (ended?.reason === 'completed') {
    const text = textOf(toParts(record?.output))
    return { output: text.length <= ANSWER_CHARS ? text : `${cutText(text, ANSWER_CHARS)}… (The rest was cut off.)` }
  }
  const { error } = ended ?? {}
  if (error === undefined) return { error: ERRORS.run_cancelled.message, code: 'run_cancelled' }
  return { error: `The agent ${agent} failed: ${error.message}`, code: error.code }
}
