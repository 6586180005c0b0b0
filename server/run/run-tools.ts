// RunTools: the tools of one run: those offered to the model, its calls, and their results. Every call is appended to the log
// first; then tool-call-supervisor.ts supervises it until its result.
import type { LanguageModelV3FunctionTool, LanguageModelV3Message } from '@ai-sdk/provider'
import {
  asObject,
  cutText,
  type DeclaredTool,
  ERRORS,
  type JsonSchema,
  type MessageEvent,
  makeId,
  ReplyError,
  stringifyJson,
  type Tool,
} from '@parley/protocol'
import { agentMarks } from '../model/agui/interrupts.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import type { CallState } from '../session/state/call-state.ts'
import { levelOf, runsBelow, topRun } from '../session/state/child-runs.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findRun, type SessionState, toolsOfSender } from '../session/state/session-state.ts'
import { effectiveTool } from '../session/state/tool-declarations.ts'
import type { Idle } from '../store/ports/run-queue.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import type { SchemaCheck } from '../tool/json-schema.ts'
import { schemaPool } from '../tool/schema-pool.ts'
import type { ToolSet } from '../tool/tool-set.ts'
import { resultPart } from './conversation.ts'
import { type ModelToolCall, parseInput } from './model-answer.ts'
import { isPending } from './remote-call.ts'
import type { RunExtras } from './run-extras.ts'
import type { RunLimits } from './run-limits.ts'
import type { CallItem } from './run-state.ts'
import type { RunTrace, ToolOutcome } from './run-trace.ts'
import { superviseCall, type ToolCallSupervisorOptions } from './tool-call-supervisor.ts'
import { appendToolResult, type CallFailure } from './tool-result.ts'

export interface RunToolsOptions extends ToolCallSupervisorOptions {
  readonly extras: Pick<RunExtras, 'reports' | 'callId'>
  readonly trace?: RunTrace | undefined
  readonly idle?: Idle | undefined
  /** The maximum levels of child runs below the run of a message. */
  readonly childLevels: number
  /** The maximum of child runs below the run of a message, at all levels together. */
  readonly children: number
  /** Milliseconds of a child run, unless its agent has a limit of its own. */
  readonly runMs: number
}

/** Names each field: a spread of all options of a driver costs as much as a token. */
export function toolsOptions(
  { log, logger, idle, offerChild, limits }: Pick<RunToolsOptions, 'log' | 'logger' | 'idle' | 'offerChild'> & Limited,
  { owner, trace, extras }: Pick<RunToolsOptions, 'owner' | 'trace' | 'extras'>,
  { serverTools }: Pick<RunToolsOptions, 'serverTools'>,
): RunToolsOptions {
  const { approvalMs, clientToolMs, childLevels, children, runMs } = limits
  const waits = { approvalMs, clientToolMs, childLevels, children, runMs }
  return { log, logger, idle, offerChild, owner, trace, extras, serverTools, ...waits }
}

interface Limited {
  readonly limits: RunLimits
}

export class RunTools {
  #options: RunToolsOptions
  readonly #session: SessionReplica
  readonly #run: string
  readonly #signal: AbortSignal
  // Most runs call no tool, so these three begin undefined.
  /** Tool names of the current step's calls, by the call's id in the log. */
  #names: Map<string, string> | undefined
  /** The ids by which a remote agent knows results of the step. */
  #resultIds: Map<string, string> | undefined
  #supervised: Promise<void>[] = []
  /** Child runs for which this driver's model asked. The session may not show the latest yet. */
  #asked: Set<string> | undefined
  /** A call of the current step hands the conversation over. */
  #hands = false
  /** The current step has a call that the message's sender answers. */
  #isLeft = false

  /** @param signal aborted when the driver stops */
  constructor(options: RunToolsOptions, session: SessionReplica, run: string, signal: AbortSignal) {
    this.#options = options
    this.#session = session
    this.#run = run
    this.#signal = signal
  }

  /** The run has another agent. */
  use(serverTools: ToolSet): void {
    this.#options = { ...this.#options, serverTools }
  }

  /** The message's sender answers calls of the current step in a later message, so the run ends with them. */
  get leavesStep(): boolean {
    return this.#leavesCalls && (this.#isLeft || this.#supervised.length === 0)
  }

  /** The same of the last step in the log. People answer what a remote agent asks them. */
  get hasLeftStep(): boolean {
    const calls = [...(this.#record()?.calls.values() ?? [])]
    const last = Math.max(...calls.map(({ step }) => step))
    return this.#leavesCalls && calls.some(({ step, remote }) => step === last && !remote)
  }

  get #leavesCalls(): boolean {
    return this.#ownTools() !== undefined
  }

  /** The server's tools and those of the clients that were attached when the message was sent; or the message's own tools. */
  async offered(): Promise<LanguageModelV3FunctionTool[]> {
    const own = this.#ownTools()
    if (own !== undefined) return own.map(asFunction)
    await this.#options.serverTools.ready?.(this.#signal)
    const client = this.#clientTools().flatMap((name) => effectiveTool(this.#session.state, name) ?? [])
    const server = [...this.#options.serverTools.values()]
    const foreign = server.filter((tool) => tool.foreign === true)
    // A model may be offered fewer: these come last.
    return [...server.filter((tool) => tool.foreign !== true), ...client, ...foreign].map(asFunction)
  }

  /** The model called a tool. Supervises the call until its result. @returns the item to append */
  async call(call: ModelToolCall): Promise<CallItem> {
    const id = this.#options.extras.callId(call.id)
    this.reported(id, call.name)
    const input = parseInput(call.input)
    if (this.#leavesCalls) {
      this.#isLeft = true
      return callForSender(id, call, input)
    }
    const server = this.#options.serverTools.get(call.name)
    const client = this.#clientTools().includes(call.name) ? effectiveTool(this.#session.state, call.name) : undefined
    const problem = (await this.#problemOf(call, input, server, client)) ?? this.#agentProblem(server?.agent)
    this.#signal.throwIfAborted()
    // An invalid call needs no approval.
    const approval = problem === undefined && ((server ?? client)?.approval ?? false)
    const { approvalMs, clientToolMs } = this.#options
    const agent = problem === undefined ? server?.agent : undefined
    if (agent?.kind === 'handoff') this.#hands = true
    const timeoutMs =
      agent?.kind === 'ask' ? this.#options.runMs : (server?.timeoutMs ?? client?.timeoutMs ?? clientToolMs)
    const where = server === undefined && client !== undefined ? 'client' : 'server'
    this.#supervise(id, call.name, where, problem)
    return {
      type: 'call',
      call: id,
      name: call.name,
      input: input === undefined ? call.input : input,
      where,
      approval,
      until: Date.now() + (approval ? approvalMs : timeoutMs),
      ...marksOf(call),
      ...(agent?.kind === 'ask' ? { child: { run: this.#newChild(), agent: agent.name } } : {}),
      ...(agent?.kind === 'handoff' ? { handoff: agent.name } : {}),
    }
  }

  /** The log has the call of the current step from an earlier driver. */
  resumed({ id, name, where, handoff }: CallState): void {
    this.reported(id, name)
    if (handoff !== undefined) this.#hands = true
    if (this.#leavesCalls) this.#isLeft = true
    else this.#supervise(id, name, where)
  }

  /** Resolves when the session shows all child runs of this driver. @throws TIMED_OUT after `ms` */
  async childrenKnown(ms: number): Promise<void> {
    const asked = [...(this.#asked ?? [])]
    const isKnown = (state: SessionState): boolean => asked.every((run) => findRun(state, run) !== undefined)
    if (asked.length > 0) await this.#session.until((state) => isKnown(state) || undefined, undefined, ms)
  }

  /** Supervises the open calls of a previous driver. */
  async adopt(): Promise<void> {
    const isOurs = (call: CallState): boolean => call.result === undefined && (call.remote || !this.#leavesCalls)
    const open = [...(this.#record()?.calls.values() ?? [])].filter(isOurs)
    if (open.length === 0) return
    await this.#options.serverTools.ready?.(this.#signal)
    for (const call of open) if (!isPending(call, this.#record())) this.#supervise(call.id, call.name, call.where)
  }

  /**
   * Waits until all calls of the step have results. Rejects with the signal's reason.
   * @returns the message with the results for the model; undefined without calls
   */
  async results(): Promise<LanguageModelV3Message | undefined> {
    const all = Promise.all(this.#supervised)
    const waits = this.#supervised.length > 0
    await (waits ? (this.#options.idle?.(all, this.#asks()) ?? all) : all)
    this.#signal.throwIfAborted()
    const names = this.#names
    this.#names = undefined
    this.#supervised = []
    this.#hands = false
    this.#isLeft = false
    if (names === undefined) return undefined
    const calls = this.#record()?.calls
    return {
      role: 'tool',
      content: [...names].flatMap(([id, name]) => {
        const result = calls?.get(id)?.result
        if (result === undefined) return []
        return [resultPart(id, name, result, this.#resultIds?.get(id) ?? agentMarks(result.marks).result)]
      }),
    }
  }

  /** A remote agent makes the call itself. Its result belongs to those of the step. */
  reported(id: string, name: string): void {
    this.#names ??= new Map()
    this.#names.set(id, name)
  }

  /** A remote agent knows the result of the call by this id. */
  named(id: string, result: string): void {
    this.#resultIds ??= new Map()
    this.#resultIds.set(id, result)
  }

  /** A remote agent waits for people. Its call may only stand for what it asks. */
  waits(id: string, name: string): void {
    this.#supervise(id, name, 'server')
  }

  /** Resolves when no call is supervised. The signal is already aborted. */
  async stopped(): Promise<void> {
    await Promise.allSettled(this.#supervised)
  }

  #supervise(id: string, name: string, where: 'client' | 'server', problem?: CallFailure): void {
    const isOurs = this.#options.serverTools.has(name) || this.#session.state.tools.has(name)
    const traced = this.#options.trace?.tool(id, isOurs ? name : undefined, where)
    const done = this.#runToResult(id, problem)
    const over = (): void => traced?.(this.#outcome(id))
    // `results` awaits it later; until then a rejection must not count as unhandled.
    done.then(over, over)
    this.#supervised.push(done)
  }

  #outcome(id: string): ToolOutcome {
    const call = this.#record()?.calls.get(id)
    if (call?.result === undefined) return 'left'
    if (call.result.error === undefined) return 'given'
    return call.decision === 'deny' ? 'denied' : 'failed'
  }

  async #runToResult(id: string, problem: CallFailure | undefined): Promise<void> {
    await this.#session.until((state) => findRun(state, this.#run)?.calls.get(id), this.#signal)
    if (problem !== undefined) await appendToolResult(this.#options, this.#session, id, problem)
    else await superviseCall(this.#options, this.#session, id, this.#signal)
  }

  /** Why a call is invalid, for the model. */
  async #problemOf(
    { name }: ModelToolCall,
    input: unknown,
    server: ServerTool | undefined,
    client: DeclaredTool | undefined,
  ): Promise<CallFailure | undefined> {
    if (server === undefined && client === undefined)
      return { error: this.#options.serverTools.problem?.(name) ?? `There is no tool named ${cutText(name, 64)}.` }
    if (input === undefined) return { error: 'The input is not JSON.' }
    try {
      const check = await (server === undefined ? this.#checkInput(client, input) : server.check(input))
      return check.ok ? undefined : { error: `The input does not match the tool's schema: ${check.problem}` }
    } catch (error) {
      // The pool is full, or a budget is used up. A retry of the run would repeat the model call.
      if (error instanceof ReplyError) return { error: `The input could not be checked: ${error.message}` }
      throw error
    }
  }

  /** Why another agent cannot be asked, or cannot continue the run. */
  #agentProblem(agent: ServerTool['agent']): CallFailure | undefined {
    if (agent === undefined) return undefined
    if (agent.kind === 'handoff')
      return this.#hands ? { error: 'Another call of this step already hands the conversation over.' } : undefined
    const { state } = this.#session
    const run = this.#record()
    if (run === undefined) return undefined
    if (levelOf(state, run) >= this.#options.childLevels) return limited('depth_limit')
    const below = runsBelow(state, topRun(state, run).id)
    const unknown = [...(this.#asked ?? [])].filter((id) => !below.some((child) => child.id === id))
    return below.length + unknown.length >= this.#options.children ? limited('children_limit') : undefined
  }

  /** Whether agents were asked that have not answered. */
  #asks(): boolean {
    if (this.#asked !== undefined) return true
    return [...(this.#record()?.calls.values() ?? [])].some((call) => call.child !== undefined && !call.result)
  }

  #newChild(): string {
    const run = makeId('run')
    this.#asked ??= new Set()
    this.#asked.add(run)
    return run
  }

  async #checkInput(tool: DeclaredTool | undefined, input: unknown): Promise<SchemaCheck> {
    const { id, state } = this.#session
    const user = state.members.all.has(tool?.by ?? '') ? tool?.by : undefined
    return schemaPool.checkValue(tool?.inputSchema, asObject(input), { session: id, user })
  }

  #clientTools(): readonly string[] {
    return this.#message()?.tools ?? []
  }

  #ownTools(): readonly Tool[] | undefined {
    const run = this.#record()
    return run && toolsOfSender(this.#session.state, run)
  }

  /** The message for which the run works, also if an agent asked for it. */
  #message(): MessageEvent | undefined {
    const run = this.#record()
    const id = run === undefined ? undefined : topRun(this.#session.state, run).message
    return this.#session.state.messages.find((message) => message.event.id === id)?.event
  }

  #record(): RunRecord | undefined {
    return findRun(this.#session.state, this.#run)
  }
}

export function asFunction(tool: Tool | ServerTool): LanguageModelV3FunctionTool {
  const { name, inputSchema = {} } = tool
  const isAccepted = isAcceptedByAll(inputSchema)
  const description = isAccepted ? tool.description : describedInput(tool.description, inputSchema)
  return {
    type: 'function',
    name,
    ...(description === undefined ? {} : { description }),
    // OpenAI: "object schema missing properties".
    inputSchema: { type: 'object', properties: {}, ...(isAccepted ? inputSchema : propertiesOf(inputSchema)) },
    ...(isAccepted && 'strict' in tool && tool.strict !== undefined ? { strict: tool.strict } : {}),
  }
}

/**
 * OpenAI: "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level". Anthropic and Google
 * refuse most of these, too. One such tool would make every message of its session fail.
 */
function isAcceptedByAll(schema: JsonSchema): boolean {
  const { type = 'object' } = schema
  return type === 'object' && !['oneOf', 'anyOf', 'allOf', 'enum', 'const', 'not'].some((keyword) => keyword in schema)
}

/** The properties, with the definitions to which they may refer. The server checks inputs against the whole schema. */
function propertiesOf(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(
    ['properties', '$defs', 'definitions'].flatMap((key) => (key in schema ? [[key, schema[key]]] : [])),
  )
}

/** OpenAI: "string too long. Expected a string with maximum length 1024". */
const MAX_DESCRIPTION = 1_024

/** Describes the schema to the model, if it is short enough. */
function describedInput(description: string | undefined, schema: JsonSchema): string | undefined {
  const words = `The input must match this JSON Schema: ${stringifyJson(schema)}`
  const described = description === undefined ? words : `${description}\n\n${words}`
  return described.length <= MAX_DESCRIPTION ? described : description
}

/** A call whose result the message's sender provides. */
function callForSender(id: string, call: ModelToolCall, input: unknown): CallItem {
  const shown = input === undefined ? call.input : input
  const until = Date.now()
  return {
    type: 'call',
    call: id,
    name: call.name,
    input: shown,
    where: 'client',
    approval: false,
    until,
    ...marksOf(call),
  }
}

function limited(code: 'depth_limit' | 'children_limit'): CallFailure {
  return { error: ERRORS[code].message, code }
}

function marksOf({ marks }: ModelToolCall): Pick<CallItem, 'marks'> {
  return marks === undefined ? {} : { marks }
}
