// ToolCallSupervisor: supervises a tool call until it has a result, even if its clients disappear. It waits for the decision, runs
// the server's tools, offers a client's call again when its claim has expired, and gives the model an error after the timeout. Its
// whole state is in the log, so the next driver of the run can continue at any point.
import type { Logger } from 'pino'
import { offerAgain } from '../session/commands/call-again.ts'
import { compareAndAppend } from '../session/commands/compare-and-append.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { awaitsDecision, type CallState, denial } from '../session/state/call-state.ts'
import { findCall } from '../session/state/session-state.ts'
import { effectiveTool } from '../session/state/tool-declarations.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import { runTool } from '../tool/run-tool.ts'
import type { ToolSet } from '../tool/tool-set.ts'
import { type ChildOptions, childOutcome } from './agent/child-supervisor.ts'
import { CallQuestions } from './call-questions.ts'
import { changed, deadlines } from './call-wait.ts'
import { outcomeOfRemote } from './remote-call.ts'
import type { RunExtras } from './run-extras.ts'
import { appendToolResult } from './tool-result.ts'

export interface ToolCallSupervisorOptions extends ChildOptions {
  readonly log: SessionLog
  readonly serverTools: ToolSet
  /** Milliseconds for a person to decide, or to answer a question. */
  readonly approvalMs: number
  /** Timeout of a client's call (ms), unless its tool sets one. */
  readonly clientToolMs: number
  /** This driver: the node and the run's attempt. */
  readonly owner: string
  readonly logger: Logger
  /** What the tools of the run show while they run. */
  readonly extras: Pick<RunExtras, 'reports'>
}

/** Resolves when the call has a result or its run has ended. Rejects with the signal's reason, or if an append fails. */
export async function superviseCall(
  options: ToolCallSupervisorOptions,
  session: SessionReplica,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const remaining = deadlines()
  for (;;) {
    // An expired call of an ended run appends nothing and waits for nothing, so only this check can stop the loop.
    signal.throwIfAborted()
    const found = findCall(session.state, id)
    if (found === undefined || found.call.result !== undefined || found.run.phase === 'ended') return
    if (found.call.remote && !awaitsDecision(found.call)) {
      const outcome = await outcomeOfRemote(options, session, found.call, signal)
      if (outcome !== undefined) await appendToolResult(options, session, id, outcome)
      return
    }
    await step(options, session, found.call, signal, remaining)
  }
}

/** Takes the call one step further. The caller then looks at it again. */
async function step(
  options: ToolCallSupervisorOptions,
  session: SessionReplica,
  call: CallState,
  signal: AbortSignal,
  remaining: (until: number) => number,
): Promise<void> {
  if (awaitsDecision(call)) {
    const left = remaining(call.until)
    if (left > 0) await changed(session, call, left, signal)
    else
      await appendToolResult(options, session, call.id, { error: 'The call was not approved in time.' }, awaitsDecision)
    return
  }
  if (call.decision === 'deny') {
    await appendToolResult(options, session, call.id, { error: denial(call) })
    return
  }
  if (call.child !== undefined) {
    const outcome = await childOutcome(options, session, call, call.child, signal)
    await appendToolResult(options, session, call.id, outcome)
    return
  }
  if (call.handoff !== undefined) {
    const isOffered = options.serverTools.get(call.name)?.agent !== undefined
    const removed = { error: 'The server no longer has this agent.', code: 'agent_not_found' as const }
    const handed = { output: `The conversation is now with ${call.handoff}.` }
    await appendToolResult(options, session, call.id, isOffered ? handed : removed)
    return
  }
  if (call.where === 'server') {
    await runHere(options, session, call, signal)
    return
  }
  const deadline = deadlineOf(options, session, call)
  if (remaining(deadline) <= 0) {
    const error =
      call.claim === undefined ? 'No client claimed the call in time.' : 'The client returned no result in time.'
    await appendToolResult(options, session, call.id, { error })
  } else if (call.claim !== undefined && remaining(call.claim.until) <= 0) {
    const { until } = call.claim
    await offerAgain(options.log, session, call.id, (latest) => latest.claim?.until === until)
  } else {
    await changed(session, call, remaining(Math.min(deadline, call.claim?.until ?? deadline)), signal)
  }
}

/** The timeout of an approved call starts at the decision. */
function deadlineOf(options: ToolCallSupervisorOptions, session: SessionReplica, call: CallState): number {
  if (call.decidedAt === undefined) return call.until
  return call.decidedAt + (effectiveTool(session.state, call.name)?.timeoutMs ?? options.clientToolMs)
}

async function runHere(
  options: ToolCallSupervisorOptions,
  session: SessionReplica,
  call: CallState,
  signal: AbortSignal,
): Promise<void> {
  const tool = options.serverTools.get(call.name)
  if (tool === undefined) {
    const error = options.serverTools.problem?.(call.name) ?? 'The server no longer has this tool.'
    await appendToolResult(options, session, call.id, { error })
    return
  }
  if (call.claim !== undefined && call.claim.connection !== options.owner && !tool.idempotent) {
    const error = 'The server stopped while the tool ran. The tool may have taken effect.'
    await appendToolResult(options, session, call.id, { error })
    return
  }
  const mine = await compareAndAppend(options.log, session, (state) => {
    const latest = findCall(state, call.id)
    if (latest === undefined || latest.run.phase === 'ended' || latest.call.result !== undefined) return undefined
    const until = Date.now() + tool.timeoutMs
    return {
      subject: `tool.${call.id}`,
      expect: latest.call.last,
      event: { type: 'tool.claimed', run: call.run, call: call.id, connection: options.owner, until },
    }
  })
  if (mine === undefined) {
    signal.throwIfAborted()
    return
  }
  const questions = new CallQuestions(options, session, call)
  const { settled, ...reports } = options.extras.reports(call.id)
  const context = { session: session.id, run: call.run, call: call.id, ...reports }
  const outcome = await runTool(tool, call.input, { ...context, questions }, signal, options.logger)
  await settled()
  signal.throwIfAborted()
  await appendToolResult(options, session, call.id, outcome)
}
