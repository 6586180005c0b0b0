// Tool calls of MCP 2026-07-28. A request is complete in itself: if its client disconnects, the run is cancelled unless it is
// kept. A question for the user ends the answer; the client repeats the call with the user's answers and a signed state.
import { type Cursor, makeId, ReplyError, type Send } from '@parley/protocol'
import { z } from 'zod'
import { awaitsDecision } from '../../session/state/call-state.ts'
import { commandIdOf, digest } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { JobName } from '../jobs/job-id.ts'
import type { AbandonedRuns } from '../openai/abandoned-runs.ts'
import { callerOf } from '../session-http/caller.ts'
import { type AgentTool, type AskArguments, failedResult } from './agent-tools.ts'
import { decisionOf, questionsOf } from './approval.ts'
import { canElicit, type ModernEra } from './eras.ts'
import { isId, isObject, type Params, RPC, RpcError, type RpcId, resultMessage } from './rpc.ts'
import { RpcAnswer } from './rpc-answer.ts'
import {
  type AnswerRules,
  answerWithRun,
  findRunOf,
  isForClient,
  mayDecide,
  type PendingCall,
  type RunAnswerPorts,
  rpcErrorOf,
  startOf,
} from './run-answer.ts'
import { Signer, type SigningSecrets } from './signer.ts'

const RequestState = z.object({
  user: z.string(),
  /** Hash of the tool and its arguments. */
  request: z.string(),
  session: z.string(),
  run: z.string(),
  /** Up to which the client has seen the run. */
  after: z.string(),
  /** Whether a disconnect cancels the run. */
  cancels: z.boolean(),
  /** Unix milliseconds. */
  until: z.number(),
})
type RequestState = z.infer<typeof RequestState>

/** Milliseconds for the user of a client to answer. The run waits for a decision no longer. */
const STATE_MS = 15 * 60_000

export interface ModernCallsPorts extends RunAnswerPorts {
  readonly abandoned: AbandonedRuns
}

export interface ModernCall {
  readonly id: RpcId
  readonly params: Params
  readonly era: ModernEra
  readonly tool: AgentTool
  readonly args: AskArguments
  readonly wrap: (result: Params) => Params
}

interface Followed {
  readonly name: JobName
  readonly after: Cursor | undefined
  readonly cancels: boolean
}

export class ModernCalls {
  readonly #ports: ModernCallsPorts
  readonly #signer: Signer

  constructor(ports: ModernCallsPorts, secrets: SigningSecrets) {
    this.#ports = ports
    this.#signer = new Signer(secrets, 'MCP request state')
  }

  /**
   * @param asTask returns the handle of a task instead of the answer; undefined if the client knows no tasks
   * @throws RpcError, ReplyError, StorageError
   */
  async call(
    exchange: HttpExchange,
    call: ModernCall,
    asTask: ((name: JobName) => Promise<Params>) | undefined,
  ): Promise<void> {
    if (exchange.draining !== undefined) throw new ReplyError('going_away')
    const accept = exchange.request.header('accept') ?? ''
    const answer = new RpcAnswer(exchange, call.id, accept === '' || /text\/(event-stream|\*)|\*\/\*/.test(accept))
    const { requestState } = call.params
    let followed: Followed
    try {
      followed =
        requestState === undefined
          ? await this.#start(exchange, call)
          : await this.#continue(exchange, call, await this.#stateOf(exchange, call, requestState))
    } catch (error) {
      if (isForClient(error) || !(error instanceof ReplyError)) throw error
      answer.finish(call.wrap(failedResult(error.message)))
      return
    }
    if (asTask !== undefined && call.args.keep === true) {
      exchange.reply(200, resultMessage(call.id, call.wrap(await asTask(followed.name))))
      return
    }
    await this.#follow(exchange, call, answer, followed)
  }

  async #start({ request }: HttpExchange, { args, tool }: ModernCall): Promise<Followed> {
    const command = commandIdOf(request)
    const send: Send = {
      type: 'send',
      id: command,
      session: args.session ?? makeId('mcp'),
      content: args.message,
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(tool.agent === undefined ? {} : { agent: tool.agent }),
    }
    const { run = '' } = await this.#ports.service.send(send, callerOf(request, 'mcp'))
    const name = { session: send.session, run }
    const { record } = await findRunOf(this.#ports, name)
    // A message that steers a run of somebody else does not cancel it.
    return { name, after: undefined, cancels: args.keep !== true && record.message === command }
  }

  /** @throws RpcError for a state that this server did not give to this user for this call */
  async #stateOf({ request }: HttpExchange, call: ModernCall, requestState: unknown): Promise<RequestState> {
    const opened = typeof requestState === 'string' ? await this.#signer.open(requestState) : undefined
    const { data } = RequestState.safeParse(opened)
    if (data === undefined || data.user !== request.user || data.request !== requestOf(call)) {
      throw new RpcError(200, RPC.invalidParams, '`requestState` was not made for this call.')
    }
    if (data.until < Date.now()) throw new RpcError(200, RPC.invalidParams, '`requestState` has expired.')
    return data
  }

  async #continue(exchange: HttpExchange, { params }: ModernCall, state: RequestState): Promise<Followed> {
    const { session, run, cancels } = state
    await this.decide(exchange, { session, run }, params)
    return { name: { session, run }, after: state.after, cancels }
  }

  /** Passes on the decisions of the client's user. @throws RpcError, ReplyError, StorageError */
  async decide(exchange: HttpExchange, name: JobName, { inputResponses }: Params): Promise<void> {
    const { session } = name
    const caller = callerOf(exchange.request, 'mcp')
    const { record } = await findRunOf(this.#ports, name)
    for (const [call, given] of Object.entries(isObject(inputResponses) ? inputResponses : {})) {
      const decision = decisionOf(given)
      if (decision === undefined)
        throw new RpcError(200, RPC.invalidParams, 'An answer in `inputResponses` is malformed.')
      const known = record.calls.get(call)
      if (known === undefined || !awaitsDecision(known)) continue
      const command = `mcp_${digest(caller.user, session, call)}`
      try {
        await this.#ports.service.decide({ type: 'tool.decide', id: command, session, call, ...decision }, caller)
      } catch (error) {
        // Somebody else was faster, or the run has ended meanwhile.
        if (!(error instanceof ReplyError && DECIDED.has(error.code))) throw error
      }
    }
  }

  async #follow(exchange: HttpExchange, call: ModernCall, answer: RpcAnswer, followed: Followed): Promise<void> {
    const ports = this.#ports
    const { name, cancels } = followed
    const caller = callerOf(exchange.request, 'mcp')
    const found = await findRunOf(ports, name)
    const after = followed.after ?? startOf(ports, found)
    const asks = canElicit(call.era.capabilities) && (await mayDecide(ports, name.session, caller))
    const done = cancels ? ports.abandoned.watch(exchange, name, caller, true) : () => undefined
    const question = async (calls: readonly PendingCall[], cursor: Cursor): Promise<Params> => ({
      resultType: 'input_required',
      inputRequests: questionsOf(calls),
      requestState: await this.#signer.sign({
        user: exchange.request.user,
        request: requestOf(call),
        ...name,
        after: cursor,
        cancels,
        until: Date.now() + STATE_MS,
      } satisfies RequestState),
    })
    const ask = async (calls: readonly PendingCall[], cursor: Cursor): Promise<void> => {
      const asked = await question(calls, cursor)
      done()
      answer.finish({ ...call.wrap({}), ...asked })
    }
    const token = isObject(call.params._meta) ? call.params._meta.progressToken : undefined
    const rules: AnswerRules = {
      progressToken: isId(token) ? token : undefined,
      event: () => undefined,
      ask: asks
        ? (pending, cursor) => {
            ask([pending], cursor).catch((error: unknown) => {
              ports.logger.error({ err: error, ...name }, 'an HTTP stream failed')
              answer.fail(rpcErrorOf(new ReplyError('internal')))
            })
            return true
          }
        : undefined,
      ended: (record) => {
        if (record !== undefined) done()
      },
      isUnanswered: () => false,
      wrap: call.wrap,
      drain: () => answer.fail(rpcErrorOf(new ReplyError('going_away'))),
    }
    answer.open()
    const waiting = [...found.record.calls.values()].filter(awaitsDecision)
    if (asks && waiting.length > 0 && found.record.ended === undefined) {
      await ask(waiting, after)
      return
    }
    await answerWithRun(ports, exchange, answer, { name, found, after }, rules)
  }
}

const DECIDED: ReadonlySet<string> = new Set(['already_decided', 'call_ended', 'approval_not_needed', 'call_not_found'])

/** The call that a state is bound to. */
function requestOf({ tool, args }: ModernCall): string {
  const { message, session = '', policy = '', keep = false } = args
  return digest(tool.definition.name, message, session, policy, String(keep))
}
