// CallKeeper: sees a tool call of a run through to its result, whatever becomes of those who could give
// it: waits for a decision, runs the server's own tools, offers a client's call again when its claim has
// run out, and gives the model an error when time is over. All it knows is in the log, so that the next
// owner of the run goes on from any point.
import type { Logger } from 'pino'
import { compareAndAppend } from '../session/commands/compare-and-append.ts'
import { offerAgain } from '../session/commands/tool-service.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { awaitsDecision, type CallState } from '../session/state/call-state.ts'
import { findCall } from '../session/state/session-state.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import { runTool, type ToolOutcome } from '../tool/run-tool.ts'

export interface ToolCallSupervisorOptions {
  readonly log: SessionLog
  readonly serverTools: ReadonlyMap<string, ServerTool>
  /** Milliseconds a person has to decide. */
  readonly approvalMs: number
  /** Milliseconds a client's call may take, where its tool does not say. */
  readonly clientToolMs: number
  /** This owner: the node and the run's epoch. */
  readonly owner: string
  readonly logger: Logger
}

/** Resolves when the call has its result, or its run has ended. Rejects with the signal's reason, or when the log refuses. */
export async function keepCall(
  options: ToolCallSupervisorOptions,
  session: SessionReplica,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    // A step whose time is over when the run is, too, has nothing to append and nothing to wait for.
    signal.throwIfAborted()
    const found = findCall(session.state, id)
    if (found === undefined || found.call.result !== undefined || found.run.phase === 'ended') return
    await step(options, session, found.call, signal)
  }
}

/** One step on; when it returns, the call is to be looked at again. */
async function step(
  options: ToolCallSupervisorOptions,
  session: SessionReplica,
  call: CallState,
  signal: AbortSignal,
): Promise<void> {
  const now = Date.now()
  if (awaitsDecision(call)) {
    if (call.until > now) await changed(session, call, call.until - now, signal)
    else await giveResult(options, session, call.id, { error: 'Nobody approved the call in time.' }, awaitsDecision)
    return
  }
  if (call.decision === 'deny') {
    await giveResult(options, session, call.id, { error: 'The call was denied.' })
    return
  }
  if (call.where === 'server') {
    await runHere(options, session, call, signal)
    return
  }
  const deadline = deadlineOf(options, session, call)
  if (deadline <= now) {
    const error = call.claim === undefined ? 'No client took the call in time.' : 'The client gave no result in time.'
    await giveResult(options, session, call.id, { error })
  } else if (call.claim !== undefined && call.claim.until <= now) {
    const { until } = call.claim
    await offerAgain(options.log, session, call.id, (latest) => latest.claim?.until === until)
  } else {
    await changed(session, call, Math.min(deadline, call.claim?.until ?? deadline) - now, signal)
  }
}

/** An approved call has its whole time from the decision on. */
function deadlineOf(options: ToolCallSupervisorOptions, session: SessionReplica, call: CallState): number {
  if (call.decidedAt === undefined) return call.until
  return call.decidedAt + (session.state.tools.get(call.name)?.timeoutMs ?? options.clientToolMs)
}

async function runHere(
  options: ToolCallSupervisorOptions,
  session: SessionReplica,
  call: CallState,
  signal: AbortSignal,
): Promise<void> {
  const tool = options.serverTools.get(call.name)
  if (tool === undefined) {
    await giveResult(options, session, call.id, { error: 'The server no longer has this tool.' })
    return
  }
  if (call.claim !== undefined && call.claim.connection !== options.owner && !tool.idempotent) {
    const error = 'The server stopped while the tool ran. It may have had its effect.'
    await giveResult(options, session, call.id, { error })
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
  const context = { session: session.id, run: call.run, call: call.id }
  const outcome = await runTool(tool, call.input, context, signal, options.logger)
  signal.throwIfAborted()
  await giveResult(options, session, call.id, outcome)
}

/** Appends the result, unless there is one, or `still` no longer holds. */
export async function giveResult(
  options: Pick<ToolCallSupervisorOptions, 'log' | 'owner'>,
  session: SessionReplica,
  id: string,
  outcome: ToolOutcome,
  still: (call: CallState) => boolean = () => true,
): Promise<void> {
  await compareAndAppend(options.log, session, (state) => {
    const found = findCall(state, id)
    if (found === undefined || found.run.phase === 'ended') return undefined
    const { call } = found
    if (call.result !== undefined || !still(call)) return undefined
    const by = 'output' in outcome ? options.owner : 'server'
    return {
      subject: `tool.${id}`,
      expect: call.last,
      event: { type: 'tool.result', run: call.run, call: id, ...outcome, by },
    }
  })
}

/** Resolves when the call has changed, or the time is over. */
async function changed(session: SessionReplica, call: CallState, ms: number, signal: AbortSignal): Promise<void> {
  const wait = new AbortController()
  const timer = setTimeout(() => wait.abort(TIME_OVER), Math.max(0, Math.min(ms, 2 ** 31 - 1)))
  const onAbort = (): void => wait.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    await session.until((state) => {
      const latest = findCall(state, call.id)?.call
      return latest === undefined || latest.last !== call.last ? true : undefined
    }, wait.signal)
  } catch (error) {
    if (error !== TIME_OVER) throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

const TIME_OVER = new DOMException('The time is over.', 'TimeoutError')
