// Agents: the configured agents, which of them answers a run, and what it then has: a model, instructions, tools and limits.
import { ReplyError } from '@parley/protocol'
import { z } from 'zod'
import type { Model, ModelCatalog } from '../../model/model.ts'
import { pathTo } from '../../session/state/message-tree.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import type { SessionState } from '../../session/state/session-state.ts'
import { defineTool, type ServerTool } from '../../tool/define-tool.ts'
import { demoReport } from '../../tool/demo-report.ts'
import type { ToolSet } from '../../tool/tool-set.ts'
import { isRemote, type RemoteAgent } from '../remote-agent.ts'

/** A named configuration, selected by `agent` in `send`: a model and instructions of this server, or an agent elsewhere. */
export type Agent = LocalAgent | RemoteAgent

export interface LocalAgent {
  readonly model?: string | undefined
  readonly system?: string | undefined
  /** Names of the server tools it may use. Default: all. */
  readonly tools?: readonly string[] | undefined
  /** What it is for: shown to those who may ask it, such as MCP clients and their models. */
  readonly description?: string | undefined
  /** Names of the agents that it may ask. */
  readonly agents?: readonly string[] | undefined
  /** Names of the agents to which it may hand the conversation. */
  readonly handoff?: readonly string[] | undefined
  readonly limits?: AgentLimits | undefined
}

/** Limits of the agent's runs, instead of the server's. */
export interface AgentLimits {
  /** Model calls of one run. */
  readonly steps?: number | undefined
  /** Output tokens of one run. */
  readonly outputTokens?: number | undefined
  /** Milliseconds of one run; after a hand-off, those of the first agent. */
  readonly runMs?: number | undefined
}

export type Agents = ReadonlyMap<string, Agent>

/** An agent as the driver of a run needs it. */
export interface RunAgent {
  /** Undefined: the server's default. */
  readonly name: string | undefined
  readonly model: Model
  readonly system: string | undefined
  readonly serverTools: ToolSet
  readonly limits: AgentLimits
  /** Only of a remote agent: what it knows the conversation by, and its state. */
  readonly remote?: { readonly thread: string; readonly state: unknown } | undefined
}

export interface AgentCatalog {
  readonly agents: Agents
  readonly models: ModelCatalog
  /** Instructions of agents without any. */
  readonly system: string | undefined
  readonly serverTools: ReadonlyMap<string, ServerTool>
}

const NO_LIMITS: AgentLimits = {}

/** @throws ReplyError agent_not_found */
export function agentOf(agents: Agents, name: string | undefined): Agent | undefined {
  if (name === undefined) return undefined
  const agent = agents.get(name)
  if (agent === undefined) throw new ReplyError('agent_not_found')
  return agent
}

/**
 * @param model that the message asks for
 * @param remote opens an agent that runs elsewhere
 * @param complete adds further tools, such as those of MCP servers
 * @throws ReplyError agent_not_found, model_not_allowed
 */
export function runAgent(
  { agents, models, system, serverTools }: AgentCatalog,
  name: string | undefined,
  model: string | undefined,
  complete: (own: ReadonlyMap<string, ServerTool>, allows: (tool: string) => boolean) => ToolSet,
  remote: (name: string, agent: RemoteAgent) => Pick<RunAgent, 'model' | 'remote'>,
): RunAgent {
  const agent = agentOf(agents, name)
  const allowed = agent?.tools
  const allows = (tool: string): boolean => allowed?.includes(tool) ?? true
  const local = localAgent(agent)
  const chosen = isRemote(agent) ? undefined : models.get(model ?? local?.model)
  const all = chosen?.id === 'demo' ? new Map([[demoReport.name, demoReport], ...serverTools]) : serverTools
  const own = allowed === undefined ? all : new Map([...all].filter(([tool]) => allows(tool)))
  const others = agentTools(agents, agent)
  const tools = complete(others.length === 0 ? own : new Map([...own, ...others.map(byName)]), allows)
  const limits = agent?.limits ?? NO_LIMITS
  // It has a model and instructions of its own.
  if (name !== undefined && isRemote(agent)) {
    return { name, serverTools: tools, limits, system: undefined, ...remote(name, agent) }
  }
  const answering = chosen ?? models.get(model ?? local?.model)
  return { name, serverTools: tools, limits, model: answering, system: local?.system ?? system }
}

/** @returns undefined for a remote agent */
export function localAgent(agent: Agent | undefined): LocalAgent | undefined {
  return isRemote(agent) ? undefined : agent
}

/** The agent that answers the run now, or will; undefined: the server's default. */
export function agentNameOf(agents: Agents, state: SessionState, run: RunRecord): string | undefined {
  if (run.agent !== undefined) return run.agent
  const named = state.messages.find(({ event }) => event.id === run.message)?.event.agent
  if (named !== undefined || ![...agents.values()].some(({ handoff = [] }) => handoff.length > 0)) return named
  const handed = handedBefore(state, run.message)
  // A conversation outlives the agent to which it was handed.
  return handed !== undefined && agents.has(handed) ? handed : undefined
}

/** The agent to which the conversation was handed before the message. */
function handedBefore(state: SessionState, message: string): string | undefined {
  const runs = new Map([...state.ended.values(), ...state.open].map((run) => [run.message, run]))
  for (const { event } of pathTo(state.messages, message).slice(0, -1).reverse()) {
    const run = runs.get(event.id)
    // It was given to the run of another message, and to whichever agent spoke there.
    if (run === undefined && event.policy === 'steer') continue
    if (run?.agent !== undefined) return isHanded(run) || run.agent !== event.agent ? run.agent : undefined
    if (event.agent !== undefined || (run !== undefined && run.epoch > 0)) return undefined
  }
  return undefined
}

/** Whether the agent that answers the run got it by a hand-off. */
export function isHanded(run: RunRecord): boolean {
  if (run.agent === undefined) return false
  return [...run.calls.values()].some((call) => call.handoff === run.agent && call.result?.output !== undefined)
}

/** The hand-off of the run's last step, if the log does not have its `run.handed` yet. */
export function dueHandOff(run: RunRecord): { readonly to: string; readonly reason: string | undefined } | undefined {
  const calls = [...run.calls.values()]
  const step = Math.max(...calls.map((call) => call.step))
  const call = calls.find(
    (each) => each.step === step && each.handoff !== undefined && each.result?.output !== undefined,
  )
  if (call?.handoff === undefined || call.handoff === run.agent) return undefined
  const { reason } = HandOffInput.safeParse(call.input).data ?? {}
  return { to: call.handoff, reason }
}

const ASK = 'ask_'
const HAND_OFF = 'handoff_to_'
const AskInput = z.object({
  message: z.string().min(1).describe('What the agent is to do or to answer. It knows nothing else.'),
})
const HandOffInput = z.object({ reason: z.string().optional().describe('Why the other agent is to continue.') })

/** The message to an agent that was asked. */
export function askedMessage(input: unknown): string {
  return AskInput.safeParse(input).data?.message ?? ''
}

/** Names of the tools that represent agents. Clients cannot declare tools of these names. */
export function agentToolNames(agents: Agents): ReadonlySet<string> {
  return new Set([...agents.values()].flatMap((agent) => agentTools(agents, agent).map(({ name }) => name)))
}

function agentTools(agents: Agents, agent: Agent | undefined): ServerTool[] {
  const { agents: asked = [], handoff = [] } = agent ?? {}
  return [
    ...asked.map((name): ServerTool => {
      const { description = `Asks the agent ${name}.` } = agents.get(name) ?? {}
      return { ...standIn(ASK + name, description, AskInput), agent: { kind: 'ask', name } }
    }),
    ...handoff.map((name): ServerTool => {
      const purpose = agents.get(name)?.description
      const description = `Hands the conversation to the agent ${name}.${purpose === undefined ? '' : ` ${purpose}`}`
      return { ...standIn(HAND_OFF + name, description, HandOffInput), agent: { kind: 'handoff', name } }
    }),
  ]
}

function standIn(name: string, description: string, inputSchema: z.ZodType): ServerTool {
  const execute = (): never => {
    throw new TypeError(`${name} is not a tool that runs`)
  }
  return defineTool({ name, description, inputSchema, execute })
}

function byName(tool: ServerTool): [string, ServerTool] {
  return [tool.name, tool]
}

/** What is wrong with the names that the agents give each other. @param tools names of the server's tools */
export function agentProblems(agents: Agents, tools: ReadonlySet<string>): string[] {
  return [...agents].flatMap(([name, { agents: asked = [], handoff = [] }]) => [
    ...asked.flatMap((other) => problemsOf(agents, tools, `agents of the agent ${name}`, other, ASK)),
    ...handoff.flatMap((other) => problemsOf(agents, tools, `handoff of the agent ${name}`, other, HAND_OFF)),
    ...(handoff.includes(name) ? [`The agent ${name} cannot hand the conversation to itself.`] : []),
  ])
}

const NAME = /^[A-Za-z0-9_-]{1,53}$/

function problemsOf(
  agents: Agents,
  tools: ReadonlySet<string>,
  where: string,
  other: string,
  prefix: string,
): string[] {
  if (!agents.has(other)) return [`${where} names ${other}, which is not an agent.`]
  if (!NAME.test(other))
    return [`${where} names ${other}, but such a name must be 1–53 characters from A-Z a-z 0-9 _ -.`]
  return tools.has(prefix + other)
    ? [`The tool ${prefix}${other} has the name of the tool for the agent ${other}.`]
    : []
}
