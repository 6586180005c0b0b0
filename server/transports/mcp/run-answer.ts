// RunAnswer: follows a run, and turns it into the answer of a tool call: progress while it is written, questions for approvals,
// and the result. It keeps nothing that is not in the log, so that any node can continue it from a cursor.
import { type Cursor, type ErrorCode, formatCursor, ReplyError, type RunResult } from '@parley/protocol'
import type { Caller } from '../../session/commands/caller.ts'
import { lookUpRun } from '../../session/find-run.ts'
import { whenRunEnds } from '../../session/run-end.ts'
import { type FoundRun, runResult } from '../../session/run-report.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import { awaitsDecision, type CallState } from '../../session/state/call-state.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { JobName } from '../jobs/job-id.ts'
import { drainDelayMs } from '../openai/run-wait.ts'
import { type Params, RPC, RpcError, type RpcId } from './rpc.ts'
import type { RpcAnswer } from './rpc-answer.ts'
import { type RunEntriesPorts, type RunEntry, readRun } from './run-entries.ts'

export interface RunAnswerPorts extends RunEntriesPorts {
  readonly sessions: SessionCache
}

/** What differs between the eras. */
export interface AnswerRules {
  /** The client's token for progress; undefined if it wants none. */
  readonly progressToken: RpcId | undefined
  /** The id of an event at this position; undefined if streams cannot be resumed. */
  event(cursor: Cursor): string | undefined
  /** Asks the client's user. @returns whether that ends the answer. Undefined if the client cannot ask, or its user may not decide. */
  readonly ask?: ((call: PendingCall, cursor: Cursor) => boolean) | undefined
  /** The answer ends: with the run, with a question, or with an error. */
  ended(record?: RunRecord): void
  /** Whether the client gets no answer, because it has cancelled the request. */
  isUnanswered(record: RunRecord): boolean
  wrap(result: Params): Params
  /** The node shuts down. */
  drain(answer: RpcAnswer): void
}

export type PendingCall = Pick<CallState, 'id' | 'name' | 'input'>

/** Milliseconds in which this node learns of a run's end that it has read. */
const END_MS = 10_000

/** @throws ReplyError run_not_found, forbidden; StorageError */
export async function findRunOf(ports: RunAnswerPorts, { session, run }: JobName): Promise<FoundRun> {
  const found = await ports.sessions.with(session, (replica) => lookUpRun(ports.stores, replica, run))
  if (found === undefined) throw new ReplyError('run_not_found')
  return found
}

/** The cursor of the run's message: all entries of the run follow it. */
export function startOf(ports: RunAnswerPorts, { record }: FoundRun): Cursor {
  return formatCursor(ports.stores.log.epoch, record.order)
}

/** Resolves when the run is being followed. The answer was opened before. @throws ReplyError, StorageError */
export async function answerWithRun(
  ports: RunAnswerPorts,
  exchange: HttpExchange,
  answer: RpcAnswer,
  { name, found, after }: { readonly name: JobName; readonly found: FoundRun; readonly after: Cursor },
  rules: AnswerRules,
): Promise<void> {
  const { progressToken, ask } = rules
  const { order, calls } = found.record
  const seen = new Set<string>()
  const isPending = (call: string): boolean => {
    const known = calls.get(call)
    return known === undefined || awaitsDecision(known)
  }
  let isEnding = false

  function progress({ seq, cursor }: RunEntry, message: string): void {
    if (progressToken === undefined || message === '') return
    // Grows with the log, so it is the same on every node.
    const params = { progressToken, progress: Math.max(1, seq - order), message }
    answer.send('notifications/progress', params, rules.event(cursor))
  }

  function entry(read: RunEntry): void {
    const { event, cursor } = read
    if (isEnding) return
    if (event.type === 'run.output') {
      if (event.kind === 'text') progress(read, event.text)
    } else if (event.type === 'tool.called') {
      const { call, name: tool, input, approval } = event
      const waits = approval && isPending(call)
      const isNew = !seen.has(`${call} ${waits}`)
      seen.add(`${call} ${waits}`)
      if (isNew) progress(read, waits ? `Waiting for approval of ${tool}.` : `Calling ${tool}.`)
      if (isNew && waits && ask?.({ id: call, name: tool, input }, cursor) === true) {
        isEnding = true
        rules.ended()
      }
    } else if (event.type === 'run.ended') {
      isEnding = true
      finish(cursor).catch(failed)
    }
  }

  async function finish(cursor: Cursor): Promise<void> {
    const { session, run } = name
    const ended = await whenRunEnds(ports, session, run, exchange.request.user, AbortSignal.timeout(END_MS))
    if (ended?.record.ended === undefined) throw new ReplyError('unavailable')
    rules.ended(ended.record)
    if (rules.isUnanswered(ended.record)) answer.stop()
    else answer.finish(rules.wrap(toolResult(session, ended.record)), rules.event(cursor))
  }

  function failed(error: unknown): void {
    isEnding = true
    rules.ended()
    if (!(error instanceof ReplyError)) ports.logger.error({ err: error, ...name }, 'an HTTP stream failed')
    answer.fail(
      rpcErrorOf(error instanceof ReplyError ? error : new ReplyError('unavailable', undefined, { cause: error })),
    )
  }

  exchange.onDrain(({ withinMs }) => {
    const timer = setTimeout(() => {
      if (answer.hasEnded) return
      isEnding = true
      rules.drain(answer)
    }, drainDelayMs(withinMs))
    exchange.request.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
  await readRun(ports, exchange, { ...name, after }, answer.stream, { entry, failed })
}

/** Errors of the node, which the client may repeat later, and of the caller's rights: not something for the model. */
const PASSED: ReadonlySet<ErrorCode> = new Set([
  'unavailable',
  'going_away',
  'contended',
  'storage_full',
  'internal',
  'rate_limited',
])

export function isForClient(error: unknown): boolean {
  return !(error instanceof ReplyError) || PASSED.has(error.code)
}

export function rpcErrorOf({ code, message, retryAfterMs }: ReplyError): RpcError {
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  return new RpcError(503, code === 'internal' ? RPC.internal : RPC.refused, message, { code, ...wait })
}

const WORDS: Readonly<Partial<Record<RunResult['state'], string>>> = {
  cancelled: 'The run was cancelled.',
  superseded: 'A newer message has interrupted the run.',
  failed: 'The run failed.',
}

/** The result of a tool call. @param record of an ended run */
export function toolResult(session: string, record: RunRecord): Params {
  const result = runResult(session, record, () => '')
  if (result === undefined) throw new ReplyError('unavailable')
  const { run, text, state, error } = result
  const reason = error?.message ?? WORDS[state]
  const texts = [...(text === '' && reason !== undefined ? [] : [text]), ...(reason === undefined ? [] : [reason])]
  return {
    content: texts.map((each) => ({ type: 'text', text: each })),
    structuredContent: { session, run, text, state, ...(error === undefined ? {} : { error: { code: error.code } }) },
    ...(reason === undefined ? {} : { isError: true }),
  }
}

/** Whether the caller may decide about tool calls of the session. @throws ReplyError but forbidden, StorageError */
export async function mayDecide({ service }: RunAnswerPorts, session: string, caller: Caller): Promise<boolean> {
  try {
    await service.admit(session, caller, 'decide')
    return true
  } catch (error) {
    if (error instanceof ReplyError && error.code === 'forbidden') return false
    throw error
  }
}
