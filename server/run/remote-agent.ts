// RemoteAgent: an agent behind AG-UI, as the configuration has it, and as the model of one run: with the claims of the sender's access
// token in its headers, and the thread that the agent knows the conversation by.
import { z } from 'zod'
import { type AgentModelOptions, agentModel, agentModelId } from '../model/agui/agent-model.ts'
import { STATE_DATA } from '../model/agui/agent-part.ts'
import type { Model } from '../model/model.ts'
import { ProviderStreamError } from '../model/provider-failure.ts'
import { parentAt, pathTo } from '../session/state/message-tree.ts'
import { toParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import type { SessionState } from '../session/state/session-state.ts'
import { claimsOfHeaders, HeadersForm, HttpUrl, headersWith } from '../tool/claim-headers.ts'

/** Limits of one run of an agent, instead of the server's. */
export const AgentLimitsForm = z.strictObject({
  steps: z.int().min(1).optional(),
  outputTokens: z.int().min(1).optional(),
  runMs: z.int().min(1).optional(),
})

/** In the configuration file. */
export const RemoteAgentForm = z.strictObject({
  /** Where the agent takes requests. */
  agui: HttpUrl,
  headers: HeadersForm.optional(),
  /** Names of the server tools that it may ask for. Default: all. */
  tools: z.array(z.string()).optional(),
  description: z.string().optional(),
  /** Names of the agents that it may ask, and to which it may hand the conversation. They are tools for it. */
  agents: z.array(z.string()).optional(),
  handoff: z.array(z.string()).optional(),
  limits: AgentLimitsForm.optional(),
  /** Milliseconds without any sign of the agent. Node.js itself allows five minutes. */
  timeoutMs: z.int().min(1).max(300_000).optional(),
})
export type RemoteAgent = z.infer<typeof RemoteAgentForm>

/** The run that the agent works for. */
export interface RemoteRun {
  /** Encrypted claims of the access token that sent the run's message. */
  readonly credentials: string | undefined
  /** The sender. */
  readonly author: string | undefined
  /** Somebody else has added a message to the run. */
  isShared(): boolean
}

export interface RemoteAgentPorts extends Pick<AgentModelOptions, 'fetch' | 'relayed'> {
  /** Decrypts the claims of this user. */
  openClaims?(credentials: string, user: string): Promise<OpenedClaims | undefined>
}

type OpenedClaims = { readonly claims: Readonly<Record<string, string>> } | { readonly problem: string }

export function isRemote(agent: object | undefined): agent is RemoteAgent {
  return agent !== undefined && 'agui' in agent
}

/** The claims of access tokens that headers of agents contain. */
export function claimsOfAgents(agents: Iterable<object>): string[] {
  return [...agents].flatMap((agent) => (isRemote(agent) ? claimsOfHeaders(agent.headers) : []))
}

/** The ids of their models, for metrics. */
export function remoteModelIds(agents: ReadonlyMap<string, object>): string[] {
  return [...agents].flatMap(([name, agent]) => (isRemote(agent) ? [agentModelId(name)] : []))
}

export function remoteModel(name: string, agent: RemoteAgent, run: RemoteRun, ports: RemoteAgentPorts): Model {
  const { agui: url, headers = {}, timeoutMs } = agent
  return agentModel({
    name,
    url,
    timeoutMs,
    fetch: ports.fetch,
    relayed: ports.relayed,
    headers: async () => {
      const needed = claimsOfHeaders(headers)
      if (needed.length === 0) return headers
      // Claims are for requests in the name of the sender alone.
      if (run.isShared()) throw new ProviderStreamError('provider_unauthenticated', SHARED)
      const { credentials, author } = run
      const opened =
        credentials === undefined || author === undefined ? undefined : await ports.openClaims?.(credentials, author)
      if (opened !== undefined && 'problem' in opened)
        throw new ProviderStreamError('provider_unauthenticated', UNREADABLE)
      const filled = headersWith(headers, opened?.claims ?? {})
      if ('headers' in filled) return filled.headers
      throw new ProviderStreamError('provider_unauthenticated', missingClaim(filled.missing))
    },
  })
}

const SHARED =
  'Another person has added a message to this answer, so the remote agent cannot be used in the name of its sender.'

const UNREADABLE =
  'The server cannot read the claims of your access token that the remote agent needs. The reason is in its configuration: PARLEY_CREDENTIALS_KEY must be the same on all nodes, and the claims must not be too long.'

function missingClaim(claim: string): string {
  return `The remote agent needs the claim ${claim} of your access token. Sign in with a token that has it, and send the message again.`
}

/** @returns the state that the agent had last in this conversation; undefined if it had none */
export function stateOf(
  state: SessionState,
  { id, message }: Pick<RunRecord, 'id' | 'message'>,
  model: string,
): unknown {
  const places = new Map(pathTo(state.messages, message).map(({ event }, at) => [event.id, at]))
  const runs = [...state.ended.values(), ...state.open].filter(
    (record) => record.id === id || (record.model === model && places.has(record.message)),
  )
  runs.sort((one, other) => (places.get(other.message) ?? 0) - (places.get(one.message) ?? 0))
  for (const { output } of runs) {
    const last = toParts(output).findLast((part) => part.type === 'data' && part.name === STATE_DATA && 'data' in part)
    if (last?.type === 'data') return last.data
  }
  return undefined
}

/**
 * The agent's name of the conversation: the same for all messages of a session. A branch of the conversation is another one, because an
 * agent with a memory of its own would otherwise see the messages that were edited away.
 */
export function threadOf(state: SessionState, session: string, run: RunRecord, agent: string): string {
  // An agent that another one asked knows nothing of the conversation.
  if (run.parent !== undefined) return [session, agent, run.id].join('.')
  const { messages } = state
  const places = new Map(messages.map(({ event }, at) => [event.id, at]))
  const hasElder = (id: string): boolean => {
    const at = places.get(id) ?? -1
    const parent = parentAt(messages, at) ?? null
    return messages.slice(0, at).some((_, other) => (parentAt(messages, other) ?? null) === parent)
  }
  const branch = pathTo(messages, run.message).findLast(({ event }) => event.parent !== undefined && hasElder(event.id))
  return [session, agent, ...(branch === undefined ? [] : [branch.event.id])].join('.')
}
