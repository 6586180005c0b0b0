// Tool calls of MCP 2026-07-28. A request is complete in itself: if its client disconnects, the run is cancelled unless it is
// kept. A question for the user ends the answer; the client repeats the call with the user's answers and a signed state.
import { makeId, ReplyError, type Send } from '@parley/protocol'
import { z } from 'zod'
import { catchUp } from '../../session/catch-up.ts'
import { commandIdOf, digest, idempotencyKeyOf } from '../http/command-id.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { JobName } from '../jobs/job-id.ts'
import type { AbandonedRuns } from '../openai/abandoned-runs.ts'
import { callerOf } from '../session-http/caller.ts'
import { type AgentTool, type AskArguments, failedResult } from './agent-tools.ts'
import { canElicit, type ModernEra } from './eras.ts'
import { commandOf, type InputRequest, inputRequestsOf, openRequests } from './input-requests.ts'
import { isId, isObject, type Params, RPC, RpcError, type RpcId, resultMessage } from './rpc.ts'
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
import { Signer, type SigningSecrets } from './signer.ts'

const RequestState = z.object({
  user: z.string(),
  /** Hash of the tool and its arguments. */
  request: z.string(),
  session: z.string(),
  run: z.string(),
  /** Up to where the client has the run. */
  cursor: z.string(),
  index: z.int(),
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
  /** The handle of a task instead of the answer. Undefined if the client knows no tasks. */
  readonly asTask: ((name: JobName) => Promise<Params>) | undefined
}

interface Followed {
  readonly name: JobName
  readonly seen: Seen
  readonly cancels: boolean
  /** Call when the run may continue without this client. */
  readonly release: () => void
}

export class ModernCalls {
  readonly #ports: ModernCallsPorts
  readonly #signer: Signer

  constructor(ports: ModernCallsPorts, secrets: SigningSecrets) {
    this.#ports = ports
    this.#signer = new Signer(secrets, 'MCP request state')
  }

  /** @throws RpcError, ReplyError, StorageError: nothing was sent */
  async call(exchange: HttpExchange, call: ModernCall): Promise<void> {
    if (exchange.draining !== undefined) throw new ReplyError('going_away')
    const accept = exchange.request.header('accept') ?? ''
    const answer = new RpcAnswer(exchange, call.id, accept === '' || /text\/(event-stream|\*)|\*\/\*/.test(accept))
    const { asTask, wrap, id } = call
    const { requestState } = call.params
    try {
      const followed =
        requestState === undefined
          ? await this.#start(exchange, call)
          : await this.#continue(exchange, call, await this.#stateOf(exchange, call, requestState))
      if (asTask !== undefined && call.args.keep === true) {
        exchange.reply(200, resultMessage(id, wrap(await asTask(followed.name))))
        return
      }
      await this.#follow(exchange, call, answer, followed)
    } catch (error) {
      if (isForClient(error) || !(error instanceof ReplyError)) throw error
      answer.finish(wrap(failedResult(error.message)))
    }
  }

  async #start(exchange: HttpExchange, { args, tool }: ModernCall): Promise<Followed> {
    const { request } = exchange
    const caller = callerOf(request, 'mcp')
    const key = idempotencyKeyOf(request)
    const send: Send = {
      type: 'send',
      id: commandIdOf(request),
      session: args.session ?? (key === undefined ? makeId('mcp') : `mcp_${digest(request.user, key)}`),
      content: args.message,
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(tool.agent === undefined ? {} : { agent: tool.agent }),
    }
    const { service, abandoned } = this.#ports
    // With a key, the client finds the run again.
    const isFound = key !== undefined || args.keep === true
    const { run = '', steers } = await (isFound ? service.send(send, caller) : abandoned.send(send, caller, true))
    const name = { session: send.session, run }
    // A message that steers a run of somebody else does not cancel it.
    const cancels = args.keep !== true && steers !== true
    return { name, seen: startOf(this.#ports), cancels, release: this.#watch(exchange, name, cancels) }
  }

  /** Whatever happens before the client has its answer, the run is cancelled. @returns a function to call when it has */
  #watch(exchange: HttpExchange, name: JobName, cancels: boolean): () => void {
    if (!cancels) return () => undefined
    return this.#ports.abandoned.watch(exchange, name, callerOf(exchange.request, 'mcp'), true)
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
    const { session, run, cancels, cursor, index } = state
    const name = { session, run }
    // Before the run is watched: a client whose answer was malformed can repeat it.
    await this.decide(exchange, name, params)
    return { name, seen: { cursor, index }, cancels, release: this.#watch(exchange, name, cancels) }
  }

  /** Passes on the answers of the client's user. @throws RpcError, ReplyError, StorageError */
  async decide(exchange: HttpExchange, name: JobName, { inputResponses }: Params): Promise<void> {
    if (!isObject(inputResponses)) return
    const caller = callerOf(exchange.request, 'mcp')
    const { sessions, stores } = this.#ports
    const atTip = (): Promise<void> => sessions.with(name.session, (replica) => catchUp(stores, replica))
    // Another node may have asked a moment ago.
    await atTip()
    // Other requests are answered already.
    const open = new Set(openRequests(await findRunOf(this.#ports, name)).map(({ key }) => key))
    for (const [key, given] of Object.entries(inputResponses)) {
      if (!open.has(key)) continue
      const command = commandOf({ session: name.session, user: caller.user }, key, given)
      if (command === undefined)
        throw new RpcError(200, RPC.invalidParams, 'An answer in `inputResponses` is malformed.')
      await passOn(this.#ports, command, caller, 200)
    }
    // So that nothing is asked again.
    await atTip()
  }

  async #follow(
    exchange: HttpExchange,
    call: ModernCall,
    answer: RpcAnswer,
    { name, seen, cancels, release }: Followed,
  ): Promise<void> {
    const ports = this.#ports
    const question = async (requests: readonly InputRequest[], { cursor, index }: Seen): Promise<void> => {
      const requestState = await this.#signer.sign({
        user: exchange.request.user,
        request: requestOf(call),
        ...name,
        cursor,
        index,
        cancels,
        until: Date.now() + STATE_MS,
      } satisfies RequestState)
      release()
      answer.finish({
        ...call.wrap({}),
        resultType: 'input_required',
        inputRequests: inputRequestsOf(requests),
        requestState,
      })
    }
    const ask: AnswerRules['ask'] = (pending, now) => {
      question([pending], now).catch((error: unknown) => failAnswer(ports, answer, name, error, rules))
      return true
    }
    const token = isObject(call.params._meta) ? call.params._meta.progressToken : undefined
    const rules = {
      progressToken: isId(token) ? token : undefined,
      event: () => undefined,
      ended: (record) => {
        if (record !== undefined) release()
      },
      isUnanswered: () => false,
      wrap: call.wrap,
      interrupted: (error) => {
        if (CONTINUES.has(error.code)) release()
        this.#handOver(call, answer, name, error).catch((cause: unknown) => {
          ports.logger.warn({ err: cause, ...name }, 'failed to make a task of an interrupted call')
          answer.fail(rpcErrorOf(error, name))
        })
      },
    } satisfies AnswerRules
    answer.open()
    try {
      const found = await findRunOf(ports, name)
      const caller = callerOf(exchange.request, 'mcp')
      const asks = canElicit(call.era.capabilities) && (await mayDecide(ports, name.session, caller))
      const waiting = openRequests(found)
      if (asks && waiting.length > 0) await question(waiting, seen)
      else await answerWithRun(ports, exchange, answer, { name, found, seen }, asks ? { ...rules, ask } : rules)
    } catch (error) {
      if (answer.stream === undefined || (error instanceof ReplyError && !isForClient(error))) throw error
      failAnswer(ports, answer, name, error, rules)
    }
  }

  /** Makes a task of a call whose run continues, if the client knows tasks. */
  async #handOver({ asTask, wrap }: ModernCall, answer: RpcAnswer, name: JobName, error: ReplyError): Promise<void> {
    if (!CONTINUES.has(error.code)) answer.fail(rpcErrorOf(error))
    else if (asTask === undefined) answer.fail(rpcErrorOf(error, name))
    else answer.finish(wrap(await asTask(name)))
  }
}

/** Neither is the client's doing, so its run continues. */
const CONTINUES: ReadonlySet<string> = new Set(['going_away', 'unauthenticated'])

/** The call that a state is bound to. */
function requestOf({ tool, args }: ModernCall): string {
  const { message, session = '', policy = '', keep = false } = args
  return digest(tool.definition.name, message, session, policy, String(keep))
}
