// Tool calls of MCP 2025-11-25 and before. A client that disconnects resumes the stream on any node: an event's id says which
// request of which client it belongs to, and ends with a cursor of the log. A disconnect cancels nothing.
import { Id, parseCursor, ReplyError, type Send } from '@parley/protocol'
import { z } from 'zod'
import type { Caller, Receipt } from '../../session/commands/caller.ts'
import { findCommand } from '../../session/state/session-state.ts'
import type { NodeNews } from '../../store/ports/node-news.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { type AgentTool, type AskArguments, failedResult } from './agent-tools.ts'
import { CallRegister, type RegisteredCall } from './call-register.ts'
import { commandOf, formOf } from './input-requests.ts'
import { type LegacySession, nameOf } from './legacy-session.ts'
import { isId, type Params, RPC, RpcError, type RpcId } from './rpc.ts'
import { RpcAnswer } from './rpc-answer.ts'
import {
  type AnswerRules,
  answerWithRun,
  failAnswer,
  findRunOf,
  isForClient,
  mayDecide,
  passOn,
  type RunAnswerPorts,
  rpcErrorOf,
  type Seen,
  startOf,
} from './run-answer.ts'

/** What an event's id says besides the position: the request's id and progress token, and the run. */
const Origin = z.tuple([z.union([z.string(), z.int()]), z.union([z.string(), z.int(), z.null()]), Id, Id])
interface Resumed {
  readonly id: RpcId
  readonly progressToken: RpcId | undefined
  readonly name: JobName
}

/** The ids of elicitations: the session and the request, so that any node takes the answer. */
const ELICITATION = /^ask\.([\w-]{1,128})\.([\w-]{1,128}(?:\.[\w-]{1,128})?)$/

interface LegacyCall {
  readonly id: RpcId
  readonly params: Params
  readonly tool: AgentTool
  readonly args: AskArguments
}

export class LegacyCalls {
  readonly #ports: RunAnswerPorts
  readonly #calls: CallRegister

  /** @param cancelNews undefined on a single node */
  constructor(ports: RunAnswerPorts, cancelNews?: NodeNews) {
    this.#ports = ports
    this.#calls = new CallRegister(cancelNews, (error) => {
      ports.logger.warn({ err: error }, 'failed to cancel an MCP call')
    })
  }

  close(): void {
    this.#calls.close()
  }

  /** @throws ReplyError, StorageError: nothing was sent */
  async call(exchange: HttpExchange, session: LegacySession, { id, params, tool, args }: LegacyCall): Promise<void> {
    if (exchange.draining !== undefined) throw new ReplyError('going_away')
    const answer = new RpcAnswer(exchange, id, true)
    const command = nameOf(session, id, args.keep === true ? 'kept' : 'call')
    const send: Send = {
      type: 'send',
      id: command,
      session: args.session ?? command,
      content: args.message,
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(tool.agent === undefined ? {} : { agent: tool.agent }),
    }
    const call = this.#register(exchange, session, answer)
    // The cancel was faster.
    if (call.isCancelled) {
      answer.open()
      answer.stop()
      return
    }
    let receipt: Receipt
    try {
      receipt = await this.#ports.service.send(send, callerOf(exchange.request, 'mcp'))
    } catch (error) {
      if (isForClient(error) || !(error instanceof ReplyError)) throw error
      answer.finish(failedResult(error.message))
      return
    }
    const name = { session: send.session, run: receipt.run ?? '' }
    if (args.keep !== true && receipt.steers !== true) call.run = name
    const { progressToken } = (params._meta ?? {}) as Params
    const origin = { id, progressToken: isId(progressToken) ? progressToken : undefined, name }
    // Older clients cannot take an event without data.
    const seen = startOf(this.#ports)
    answer.open(session.version === '2025-11-25' ? eventId(origin, seen) : undefined)
    // TypeScript does not see that the cancel may have come during the wait.
    if ((call as RegisteredCall).isCancelled) await call.end?.()
    else await this.#follow(exchange, session, answer, origin, seen)
  }

  /** Continues the stream of a call. @param event the last one that the client has @throws RpcError, ReplyError, StorageError */
  async resume(exchange: HttpExchange, session: LegacySession, event: string): Promise<void> {
    if (exchange.draining !== undefined) throw new ReplyError('going_away')
    const { resumed, seen } = parseEventId(event)
    const { name, id } = resumed
    await this.#ports.service.admit(name.session, callerOf(exchange.request, 'mcp'), 'read')
    const { record } = await findRunOf(this.#ports, name)
    const answer = new RpcAnswer(exchange, id, true, true)
    answer.open()
    const call = this.#register(exchange, session, answer)
    // Another node may have received the call. The message of a run that is kept, or that was steered, has another id.
    if (record.message === nameOf(session, id, 'call')) call.run = name
    if (call.isCancelled) await call.end?.()
    else await this.#follow(exchange, session, answer, resumed, seen)
  }

  #register(exchange: HttpExchange, session: LegacySession, answer: RpcAnswer): RegisteredCall {
    const call = this.#calls.of(nameOf(session, answer.id, 'call'))
    call.add(answer)
    // The call may be kept for long, and a cancel needs no credentials.
    const { credentials: _, ...caller } = callerOf(exchange.request, 'mcp')
    call.end = async () => {
      call.stop()
      if (call.run !== undefined) await this.#cancelRun(caller, session, answer.id, call.run)
    }
    onAbort(exchange.request.signal, () => call.delete(answer))
    return call
  }

  /**
   * Cancels a request: its run ends, unless it is kept or was started by another message, and the client gets no answer. A cancel that
   * comes too late has no effect.
   * @throws ReplyError, StorageError
   */
  async cancel(exchange: HttpExchange, session: LegacySession, id: RpcId): Promise<void> {
    const command = nameOf(session, id, 'call')
    if (await this.#calls.cancel(command)) return
    // The node that received the call may be gone. Then only a session that the call has started can be found.
    const run = await this.#ports.sessions.with(command, async ({ state }) => findCommand(state, command)?.run)
    const caller = callerOf(exchange.request, 'mcp')
    if (run !== undefined) await this.#cancelRun(caller, session, id, { session: command, run })
  }

  async #cancelRun(caller: Caller, session: LegacySession, id: RpcId, name: JobName): Promise<void> {
    try {
      await this.#ports.service.cancel({ type: 'cancel', id: nameOf(session, id, 'cancel'), ...name }, caller)
    } catch (error) {
      // The run or its session is gone: nobody waits for an answer.
      if (isForClient(error)) throw error
    }
  }

  /**
   * The client's response to an elicitation. An error is no answer: somebody else may give one.
   * @throws RpcError if it is malformed, so that the client can send another one; ReplyError, StorageError
   */
  async answered(exchange: HttpExchange, id: RpcId, result: Params | undefined): Promise<void> {
    const [, session, key] = ELICITATION.exec(String(id)) ?? []
    if (session === undefined || key === undefined || result === undefined) return
    const caller = callerOf(exchange.request, 'mcp')
    const command = commandOf({ session, user: caller.user }, key, result)
    if (command === undefined) throw new RpcError(400, RPC.invalidParams, 'The answer is malformed.')
    try {
      await passOn(this.#ports, command, caller, 400)
    } catch (error) {
      if (isForClient(error)) throw error
      // The session is gone, or the user may no longer decide: the client sees that in its stream.
    }
  }

  /** The answer is open. */
  async #follow(
    exchange: HttpExchange,
    session: LegacySession,
    answer: RpcAnswer,
    origin: Resumed,
    seen: Seen,
  ): Promise<void> {
    const ports = this.#ports
    const { name, id, progressToken } = origin
    const event = (now: Seen): string => eventId(origin, now)
    const cancelled = nameOf(session, id, 'cancel')
    const rules: AnswerRules = {
      progressToken,
      event,
      ended: () => undefined,
      isUnanswered: ({ ended }) => ended?.command === cancelled && ended.by === session.user,
      wrap: (result) => result,
      // The client resumes the stream, on another node or later. One that has no event yet cannot.
      interrupted: (error) => (answer.isResumable ? answer.stop() : answer.fail(rpcErrorOf(error))),
    }
    try {
      const found = await findRunOf(ports, name)
      const asks = session.elicits && (await mayDecide(ports, name.session, callerOf(exchange.request)))
      const idOf = (key: string): RpcId => `ask.${name.session}.${key}`
      const ask: AnswerRules['ask'] = (request, now) => {
        answer.send('elicitation/create', formOf(request), event(now), idOf(request.key))
        return false
      }
      const close: AnswerRules['close'] = (key, now) => {
        const params = { requestId: idOf(key), reason: 'Somebody else has answered, or the call has ended.' }
        answer.send('notifications/cancelled', params, event(now))
      }
      await answerWithRun(ports, exchange, answer, { name, found, seen }, asks ? { ...rules, ask, close } : rules)
    } catch (error) {
      failAnswer(ports, answer, name, error, rules)
    }
  }
}

function eventId({ id, progressToken, name }: Resumed, { cursor, index }: Seen): string {
  const origin = [id, progressToken ?? null, name.session, name.run]
  return `${Buffer.from(JSON.stringify(origin)).toString('base64url')}.${index}.${cursor}`
}

/** @throws RpcError */
export function parseEventId(event: string): { readonly resumed: Resumed; readonly seen: Seen } {
  const [, base64 = '', index = '', cursor = ''] = /^([\w-]+)\.(\d{1,15})\.(.+)$/.exec(event) ?? []
  const origin = Origin.safeParse(jsonIn(base64))
  if (parseCursor(cursor) === undefined || !origin.success) {
    throw new RpcError(400, RPC.refused, 'Last-Event-ID is not the id of an event of this server.')
  }
  const [id, token, session, run] = origin.data
  return {
    resumed: { id, progressToken: token ?? undefined, name: { session, run } },
    seen: { cursor, index: Number(index) },
  }
}

function jsonIn(base64: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64, 'base64url').toString())
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
