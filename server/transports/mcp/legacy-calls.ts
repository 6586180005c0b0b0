// Tool calls of MCP 2025-11-25 and before. A client that disconnects resumes the stream on any node: an event's id says which
// request of which client it belongs to, and ends with a cursor of the log. A disconnect cancels nothing.
import { type Cursor, Id, parseCursor, ReplyError, type Send } from '@parley/protocol'
import { z } from 'zod'
import { findCommand } from '../../session/state/session-state.ts'
import { digest } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { type AgentTool, type AskArguments, failedResult } from './agent-tools.ts'
import { approvalForm, decisionOf } from './approval.ts'
import { type LegacySession, nameOf } from './legacy-session.ts'
import { isId, type Params, RPC, RpcError, type RpcId } from './rpc.ts'
import { RpcAnswer } from './rpc-answer.ts'
import {
  type AnswerRules,
  answerWithRun,
  findRunOf,
  isForClient,
  mayDecide,
  type RunAnswerPorts,
  startOf,
  toolResult,
} from './run-answer.ts'

/** What an event's id says besides the cursor: the request's id and progress token, and the run. */
const Origin = z.tuple([z.union([z.string(), z.int()]), z.union([z.string(), z.int(), z.null()]), Id, Id])
interface Resumed {
  readonly id: RpcId
  readonly progressToken: RpcId | undefined
  readonly name: JobName
}

/** Of requests that name a session: the name of its call → its run. A client cancels on the node of its request, or later. */
const ACTIVE_CALLS = 10_000

export class LegacyCalls {
  readonly #ports: RunAnswerPorts
  readonly #active = new Map<string, JobName>()

  constructor(ports: RunAnswerPorts) {
    this.#ports = ports
  }

  /** @throws ReplyError, StorageError */
  async call(
    exchange: HttpExchange,
    session: LegacySession,
    { id, params, tool, args }: { id: RpcId; params: Params; tool: AgentTool; args: AskArguments },
  ): Promise<void> {
    if (exchange.draining !== undefined) throw new ReplyError('going_away')
    const { service } = this.#ports
    const answer = new RpcAnswer(exchange, id, true)
    const caller = callerOf(exchange.request, 'mcp')
    const command = nameOf(session, id, 'call')
    const send: Send = {
      type: 'send',
      id: command,
      session: args.session ?? command,
      content: args.message,
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(tool.agent === undefined ? {} : { agent: tool.agent }),
    }
    let name: JobName
    try {
      const { run = '' } = await service.send(send, caller)
      name = { session: send.session, run }
    } catch (error) {
      if (isForClient(error) || !(error instanceof ReplyError)) throw error
      answer.finish(failedResult(error.message))
      return
    }
    this.#remember(command, name)
    const meta = (params._meta ?? {}) as Params
    const progressToken = isId(meta.progressToken) ? meta.progressToken : undefined
    const found = await findRunOf(this.#ports, name)
    await this.#follow(exchange, session, answer, { id, progressToken, name }, startOf(this.#ports, found), true)
  }

  /** Continues the stream of a call. @param event the last one that the client has @throws RpcError, ReplyError, StorageError */
  async resume(exchange: HttpExchange, session: LegacySession, event: string): Promise<void> {
    if (exchange.draining !== undefined) throw new ReplyError('going_away')
    const { resumed, cursor } = parseEventId(event)
    await this.#ports.service.admit(resumed.name.session, callerOf(exchange.request, 'mcp'), 'read')
    await this.#follow(exchange, session, new RpcAnswer(exchange, resumed.id, true), resumed, cursor, false)
  }

  /** Cancels the run of a request. A cancel that comes too late has no effect. @throws ReplyError, StorageError */
  async cancel(exchange: HttpExchange, session: LegacySession, id: RpcId): Promise<void> {
    const command = nameOf(session, id, 'call')
    const name = this.#active.get(command) ?? (await this.#find(command))
    if (name === undefined) return
    const caller = callerOf(exchange.request, 'mcp')
    await this.#ports.service.cancel({ type: 'cancel', id: nameOf(session, id, 'cancel'), ...name }, caller)
  }

  /** The answer to a question about a tool call. @throws ReplyError, StorageError */
  async answered(exchange: HttpExchange, id: RpcId, result: Params | undefined): Promise<void> {
    const [, session, call] = /^approve\.([A-Za-z0-9_-]{1,128})\.([A-Za-z0-9_-]{1,128})$/.exec(String(id)) ?? []
    // A client that fails to ask has no opinion; somebody else may decide.
    const decision = decisionOf(result)
    if (session === undefined || call === undefined || decision === undefined) return
    const caller = callerOf(exchange.request, 'mcp')
    const command = `mcp_${digest(caller.user, session, call)}`
    try {
      await this.#ports.service.decide({ type: 'tool.decide', id: command, session, call, ...decision }, caller)
    } catch (error) {
      if (isForClient(error)) throw error
      // Somebody else has decided, or the run has ended: the client sees that in its stream.
    }
  }

  async #follow(
    exchange: HttpExchange,
    { user, version, elicits, nonce }: LegacySession,
    answer: RpcAnswer,
    origin: Resumed,
    after: Cursor,
    isNew: boolean,
  ): Promise<void> {
    const ports = this.#ports
    const { name, id, progressToken } = origin
    const found = await findRunOf(ports, name)
    const asks = elicits && (await mayDecide(ports, name.session, callerOf(exchange.request)))
    const prefix = eventPrefix(origin)
    const event = (cursor: Cursor): string => `${prefix}.${cursor}`
    const cancelled = nameOf({ nonce } as LegacySession, id, 'cancel')
    const rules: AnswerRules = {
      progressToken,
      event,
      ask: asks
        ? (call, cursor) => {
            answer.send('elicitation/create', approvalForm(call), event(cursor), `approve.${name.session}.${call.id}`)
            return false
          }
        : undefined,
      ended: () => undefined,
      isUnanswered: ({ ended }) => ended?.command === cancelled && ended.by === user,
      wrap: (result) => result,
      // The client resumes the stream on another node.
      drain: () => answer.stop(),
    }
    // Older clients cannot take an event without data.
    answer.open(isNew && version === '2025-11-25' ? event(after) : undefined)
    const position = parseCursor(after)
    const { ended, last } = found.record
    if (ended !== undefined && position?.epoch === ports.stores.log.epoch && position.seq >= last) {
      // The client has the end already, and nothing follows it.
      answer.finish(toolResult(name.session, found.record), event(after))
      return
    }
    await answerWithRun(ports, exchange, answer, { name, found, after }, rules)
  }

  #remember(command: string, name: JobName): void {
    this.#active.set(command, name)
    const [oldest] = this.#active.keys()
    if (this.#active.size > ACTIVE_CALLS && oldest !== undefined) this.#active.delete(oldest)
  }

  /** The run of a call that has started its own session, on any node. */
  async #find(command: string): Promise<JobName | undefined> {
    return this.#ports.sessions.with(command, async ({ state }) => {
      const run = findCommand(state, command)?.run
      return run === undefined ? undefined : { session: command, run }
    })
  }
}

function eventPrefix({ id, progressToken, name }: Resumed): string {
  return Buffer.from(JSON.stringify([id, progressToken ?? null, name.session, name.run])).toString('base64url')
}

/** @throws RpcError */
export function parseEventId(event: string): { readonly resumed: Resumed; readonly cursor: Cursor } {
  const at = event.indexOf('.')
  const cursor = event.slice(at + 1)
  const origin = Origin.safeParse(jsonIn(event.slice(0, at)))
  if (at < 0 || parseCursor(cursor) === undefined || !origin.success) {
    throw new RpcError(400, RPC.refused, 'Last-Event-ID is not the id of an event of this server.')
  }
  const [id, token, session, run] = origin.data
  return { resumed: { id, progressToken: token ?? undefined, name: { session, run } }, cursor }
}

function jsonIn(base64: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64, 'base64url').toString())
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
