// RunTools: the tools of one run: what the model is offered, the calls that it makes, and their results.
// Every call goes to the log first; from there on call-keeper.ts sees it through.
import type { LanguageModelV3FunctionTool, LanguageModelV3Message } from '@ai-sdk/provider'
import { type MessageEvent, makeId, type Tool } from '@parley/protocol'
import type { SessionReplica } from '../session/session-replica.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findRun } from '../session/state/session-state.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import { checkValue } from '../tool/json-schema.ts'
import { type ModelToolCall, parseInput } from './model-call.ts'
import { toolInput, toolOutput } from './prompt.ts'
import type { CallItem } from './run-state.ts'
import type { RunTrace, ToolOutcome } from './run-trace.ts'
import { giveResult, keepCall, type ToolCallSupervisorOptions } from './tool-call-supervisor.ts'

export interface RunToolsOptions extends ToolCallSupervisorOptions {
  readonly trace?: RunTrace | undefined
}

export class RunTools {
  readonly #options: RunToolsOptions
  readonly #session: SessionReplica
  readonly #run: string
  readonly #signal: AbortSignal
  /** Of the step that is under way: by the log's id, the tool's name. */
  #names = new Map<string, string>()
  #kept: Promise<void>[] = []

  /** @param signal aborted when the run is over for its owner */
  constructor(options: RunToolsOptions, session: SessionReplica, run: string, signal: AbortSignal) {
    this.#options = options
    this.#session = session
    this.#run = run
    this.#signal = signal
  }

  /** The calls of the run are not kept: whoever sent the message answers them in a later one, and the run ends with them. */
  get leavesCalls(): boolean {
    return this.#message()?.context?.tools !== undefined
  }

  /** The server's tools, and those of the clients who were there when the message was sent; or those that it brought. */
  offered(): LanguageModelV3FunctionTool[] {
    const brought = this.#message()?.context?.tools
    if (brought !== undefined) return brought.map(asFunction)
    const client = this.#clientTools().flatMap((name) => this.#session.state.tools.get(name) ?? [])
    return [...this.#options.serverTools.values(), ...client].map(asFunction)
  }

  /** The model called a tool: what is to be appended for it. From then on the call is kept until it has its result. */
  call(call: ModelToolCall): CallItem {
    const id = makeId('call')
    this.#names.set(id, call.name)
    const input = parseInput(call.input)
    if (this.leavesCalls) return leftCall(id, call, input)
    const server = this.#options.serverTools.get(call.name)
    const client = this.#clientTools().includes(call.name) ? this.#session.state.tools.get(call.name) : undefined
    const problem = problemOf(call, input, server, client)
    // A call that cannot be made needs nobody's approval.
    const approval = problem === undefined && ((server ?? client)?.approval ?? false)
    const { approvalMs, clientToolMs } = this.#options
    const timeoutMs = server?.timeoutMs ?? client?.timeoutMs ?? clientToolMs
    const where = server === undefined && client !== undefined ? 'client' : 'server'
    this.#keep(id, call.name, where, problem)
    return {
      type: 'call',
      call: id,
      name: call.name,
      input: input === undefined ? call.input : input,
      where,
      approval,
      until: Date.now() + (approval ? approvalMs : timeoutMs),
    }
  }

  /** Calls of a former owner that have no result yet are kept as if they were ours. */
  adopt(): void {
    if (this.leavesCalls) return
    for (const call of this.#view()?.calls.values() ?? []) {
      if (call.result === undefined) this.#keep(call.id, call.name, call.where)
    }
  }

  /**
   * Waits until all calls of the step have their results. @returns the message that tells the model of them;
   * undefined when there were none. Rejects with the signal's reason.
   */
  async results(): Promise<LanguageModelV3Message | undefined> {
    await Promise.all(this.#kept)
    this.#signal.throwIfAborted()
    const names = this.#names
    this.#names = new Map()
    this.#kept = []
    if (names.size === 0) return undefined
    const calls = this.#view()?.calls
    return {
      role: 'tool',
      content: [...names].map(([id, name]) => ({
        type: 'tool-result',
        toolCallId: id,
        toolName: name,
        output: toolOutput(calls?.get(id)?.result),
      })),
    }
  }

  /** Resolves when no call is kept any more; the signal was aborted before. */
  async stopped(): Promise<void> {
    await Promise.allSettled(this.#kept)
  }

  #keep(id: string, name: string, where: 'client' | 'server', problem?: string): void {
    const isOurs = this.#options.serverTools.has(name) || this.#session.state.tools.has(name)
    const traced = this.#options.trace?.tool(id, isOurs ? name : undefined, where)
    const kept = this.#seeThrough(id, problem)
    const over = (): void => traced?.(this.#outcome(id))
    // Looked at when the step settles; until then a rejection must not count as unhandled.
    kept.then(over, over)
    this.#kept.push(kept)
  }

  #outcome(id: string): ToolOutcome {
    const call = this.#view()?.calls.get(id)
    if (call?.result === undefined) return 'left'
    if (call.result.error === undefined) return 'given'
    return call.decision === 'deny' ? 'denied' : 'failed'
  }

  async #seeThrough(id: string, problem: string | undefined): Promise<void> {
    await this.#session.until((state) => findRun(state, this.#run)?.calls.get(id), this.#signal)
    if (problem !== undefined) await giveResult(this.#options, this.#session, id, { error: problem })
    else await keepCall(this.#options, this.#session, id, this.#signal)
  }

  #clientTools(): readonly string[] {
    return this.#message()?.tools ?? []
  }

  #message(): MessageEvent | undefined {
    const id = this.#view()?.message
    return this.#session.state.messages.find((message) => message.event.id === id)?.event
  }

  #view(): RunRecord | undefined {
    return findRun(this.#session.state, this.#run)
  }
}

function asFunction({ name, description, inputSchema }: Tool | ServerTool): LanguageModelV3FunctionTool {
  return {
    type: 'function',
    name,
    ...(description === undefined ? {} : { description }),
    inputSchema: inputSchema ?? { type: 'object' },
  }
}

/** Nobody here waits for its result. */
function leftCall(id: string, call: ModelToolCall, input: unknown): CallItem {
  const shown = input === undefined ? call.input : input
  return { type: 'call', call: id, name: call.name, input: shown, where: 'client', approval: false, until: Date.now() }
}

/** Why a call cannot be made, in words for the model. */
function problemOf(
  call: ModelToolCall,
  input: unknown,
  server: ServerTool | undefined,
  client: Tool | undefined,
): string | undefined {
  if (server === undefined && client === undefined) return `There is no tool named ${call.name.slice(0, 64)}.`
  if (input === undefined) return 'The input is not JSON.'
  const check = server === undefined ? checkValue(client?.inputSchema, toolInput(input)) : server.check(input)
  return check.ok ? undefined : `The input does not fit the tool's schema: ${check.problem}`
}
