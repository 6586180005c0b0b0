// RunAnswer: follows a run, and turns it into the answer of a tool call: progress while it is written, requests for people,
// and the result. It keeps nothing that is not in the log, so that any node can continue it from where the client has it.
import {
  type Cursor,
  type ErrorCode,
  type Event,
  formatCursor,
  HTTP_STATUS,
  parseCursor,
  ReplyError,
  type RunResult,
  type ToolAnswer,
  type ToolDecide,
} from '@parley/protocol'
import { RunPieces } from '@parley/protocol/run-pieces'
import type { Caller } from '../../session/commands/caller.ts'
import { lookUpRun } from '../../session/find-run.ts'
import { whenRunEnds } from '../../session/run-end.ts'
import { type FoundRun, runResult } from '../../session/run-report.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import { openBelow } from '../../session/state/child-runs.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { asReplyError } from '../http/failure.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { JobName } from '../jobs/job-id.ts'
import { drainDelayMs } from '../openai/run-wait.ts'
import { answerId, type InputRequest, RequestFeed, wordsOf } from './input-requests.ts'
import { type Params, RPC, RpcError, type RpcId } from './rpc.ts'
import type { RpcAnswer } from './rpc-answer.ts'
import { type RunEntriesPorts, type RunEntry, readRun } from './run-entries.ts'
import { RunProgress } from './run-progress.ts'

export interface RunAnswerPorts extends RunEntriesPorts {
  readonly sessions: SessionCache
}

/** Up to where a client has an answer. */
export interface Seen {
  readonly cursor: Cursor
  /** The index after its last output. */
  readonly index: number
}

/** What differs between the eras. */
export interface AnswerRules {
  /** The client's token for progress; undefined if it wants none. */
  readonly progressToken: RpcId | undefined
  /** The id of an event; undefined if streams cannot be resumed. */
  event(seen: Seen): string | undefined
  /** Asks the client's user. @returns whether that ends the answer. Undefined if the client cannot ask, or its user may not decide. */
  readonly ask?: ((request: InputRequest, seen: Seen) => boolean) | undefined
  /** Somebody else has answered what the client's user was asked, or the call has ended. */
  readonly close?: ((key: string, seen: Seen) => void) | undefined
  /** The answer ends: with the run, with a question, or with an error. */
  ended(record?: RunRecord): void
  /** Whether the client gets no answer, because it has cancelled the request. */
  isUnanswered(record: RunRecord): boolean
  wrap(result: Params): Params
  /** This node cannot finish the answer: it shuts down, the access token has expired, or the log is away. The run continues. */
  interrupted(error: ReplyError): void
}

/** Milliseconds in which this node learns of a run's end that it has read. */
const END_MS = 10_000

/** @throws ReplyError run_not_found, forbidden; StorageError */
export async function findRunOf(ports: RunAnswerPorts, { session, run }: JobName): Promise<FoundRun> {
  const found = await ports.sessions.with(session, (replica) => lookUpRun(ports.stores, replica, run))
  if (found === undefined) throw new ReplyError('run_not_found')
  return found
}

/** The start of every answer. */
export function startOf({ stores }: RunAnswerPorts): Seen {
  return { cursor: formatCursor(stores.log.epoch, 0), index: 0 }
}

/** Resolves when the run is being followed. The answer was opened before. @throws ReplyError, StorageError */
export async function answerWithRun(
  ports: RunAnswerPorts,
  exchange: HttpExchange,
  answer: RpcAnswer,
  { name, found, seen }: { readonly name: JobName; readonly found: FoundRun; readonly seen: Seen },
  rules: AnswerRules,
): Promise<void> {
  const { progressToken, ask } = rules
  const { epoch } = ports.stores.log
  const { order, last } = found.record
  const pieces = new RunPieces(name.run)
  const progress = new RunProgress(seen.index)
  const requests = new RequestFeed(found)
  const position = parseCursor(seen.cursor)
  /** The entries up to here make the state that the client has. */
  const seenSeq = position?.epoch === epoch ? position.seq : 0
  let value = 0
  let isEnding = false

  const elsewhere = `This client is not asked: somebody must answer in the session ${name.session}.`

  if (found.record.ended !== undefined) {
    finish(found.record, { cursor: formatCursor(epoch, last), index: found.record.next })
    return
  }

  function entry({ event, cursor, seq }: RunEntry): void {
    if (isEnding) return
    // The result has all of its text.
    if (event.type === 'run.ended' && event.run === name.run) {
      isEnding = true
      end(cursor).catch(failed)
      return
    }
    const isSeen = seq <= seenSeq
    const step = progress.take(pieces.take(event), isSeen)
    const request = requests.take(seq, event, isSeen)
    const closed = requests.closedBy(event)
    const calling = step.calls.filter(({ call }) => !requests.awaits(call)).map((call) => `Calling ${call.name}.`)
    const waiting = request === undefined ? [] : [wordsOf(request), ...(ask === undefined ? [elsewhere] : [])]
    const now: Seen = { cursor, index: progress.index }
    const asks = request !== undefined && ask !== undefined
    // A client that resumes between a progress and its question gets both again.
    report(seq, [step.text, ...calling, ...waiting, ...step.notes], asks ? undefined : rules.event(now))
    for (const key of closed) if (!isSeen && !isOwn(event, key)) rules.close?.(key, now)
    if (!asks || !ask(request, now)) return
    isEnding = true
    rules.ended()
  }

  /** Whether the client's user gave the answer. */
  function isOwn(event: Event, key: string): boolean {
    return 'command' in event && event.command === answerId(name.session, exchange.request.user, key)
  }

  function report(seq: number, messages: readonly string[], event: string | undefined): void {
    const message = messages.filter((each) => each !== '').join('\n')
    if (progressToken === undefined || message === '') return
    // Grows with the log, on every node, also if the log is read again from its beginning.
    value = Math.max(seq - order, value + 0.001)
    answer.send('notifications/progress', { progressToken, progress: value, message }, event)
  }

  async function end(cursor: Cursor): Promise<void> {
    const { session, run } = name
    const ended = await whenRunEnds(ports, session, run, exchange.request.user, AbortSignal.timeout(END_MS))
    if (ended?.record.ended === undefined) throw new ReplyError('unavailable')
    finish(ended.record, { cursor, index: ended.record.next })
  }

  function finish(record: RunRecord, now: Seen): void {
    rules.ended(record)
    if (rules.isUnanswered(record)) answer.stop()
    else answer.finish(rules.wrap(toolResult(name.session, record)), rules.event(now))
  }

  function failed(error: unknown): void {
    if (answer.hasEnded) return
    isEnding = true
    failAnswer(ports, answer, name, error, rules)
  }

  function interrupt(code: ErrorCode): void {
    if (isEnding || answer.hasEnded) return
    isEnding = true
    rules.interrupted(new ReplyError(code))
  }

  exchange.onExpire(() => interrupt('unauthenticated'))
  exchange.onDrain(({ withinMs }) => {
    const timer = setTimeout(() => interrupt('going_away'), drainDelayMs(withinMs))
    exchange.request.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
  // From the beginning, so that a restart is recognised; what the client has is not sent again.
  const after = formatCursor(epoch, order)
  const below = openBelow(found.state, name.run).map(({ id }) => id)
  await readRun(ports, exchange, { ...name, after, below }, answer.stream, {
    entry,
    failed,
    reset: () => pieces.reset(),
  })
}

/** Ends an answer whose head was sent. */
export function failAnswer(
  { logger }: Pick<RunAnswerPorts, 'logger'>,
  answer: RpcAnswer,
  name: JobName,
  error: unknown,
  rules: Pick<AnswerRules, 'interrupted' | 'ended'>,
): void {
  const reply = asReplyError(error)
  if (!(error instanceof ReplyError)) logger.error({ err: error, ...name }, 'an HTTP stream failed')
  if (PASSED.has(reply.code) && reply.code !== 'internal') rules.interrupted(reply)
  else {
    rules.ended()
    answer.fail(rpcErrorOf(reply))
  }
}

/** Errors of the node, which the client may repeat later, and of the caller's rights: not something for the model. */
const PASSED: ReadonlySet<ErrorCode> = new Set([
  'unauthenticated',
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

/** @param name the run that continues, which the client can find in its session */
export function rpcErrorOf({ code, message, retryAfterMs }: ReplyError, name?: JobName): RpcError {
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  const status = PASSED.has(code) ? HTTP_STATUS[code] : 400
  return new RpcError(status, code === 'internal' ? RPC.internal : RPC.refused, message, { code, ...wait, ...name })
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
  const { run, text, state, cut, error } = result
  const reason = error?.message ?? WORDS[state]
  const texts = [...(text === '' && reason !== undefined ? [] : [text]), ...(reason === undefined ? [] : [reason])]
  return {
    content: texts.map((each) => ({ type: 'text', text: each })),
    structuredContent: {
      session,
      run,
      text,
      state,
      ...(cut === undefined ? {} : { cut }),
      ...(error === undefined ? {} : { error: { code: error.code } }),
    },
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

/**
 * Passes on what a person has answered, unless somebody else was faster, or the run has ended meanwhile.
 * @param status of the error that says what is wrong with the answer
 * @throws RpcError for an answer that does not fit its form, ReplyError, StorageError
 */
export async function passOn(
  { service }: RunAnswerPorts,
  command: ToolDecide | ToolAnswer,
  caller: Caller,
  status: number,
): Promise<void> {
  try {
    if (command.type === 'tool.decide') await service.decide(command, caller)
    else await service.answer(command, caller)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    if (MISFITS.has(error.code)) throw new RpcError(status, RPC.invalidParams, error.message, { code: error.code })
    if (!ANSWERED.has(error.code)) throw error
  }
}

const MISFITS: ReadonlySet<ErrorCode> = new Set(['invalid_answer', 'too_large'])
const ANSWERED: ReadonlySet<ErrorCode> = new Set([
  'already_decided',
  'approval_not_needed',
  'call_ended',
  'call_not_found',
  'question_closed',
  'question_not_found',
])
