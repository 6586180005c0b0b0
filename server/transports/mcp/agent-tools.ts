// The tools of the MCP endpoint: `ask` is the default agent, `ask_<name>` is a configured one. Pure.
import { Id, LIMITS, Policy } from '@parley/protocol'
import { z } from 'zod'
import { invalid } from '../http/http-body.ts'
import type { Params } from './rpc.ts'

export interface ToolDefinition {
  readonly name: string
  readonly title?: string
  readonly description: string
  readonly inputSchema: object
  readonly outputSchema?: object
  readonly execution?: object
}

export interface AgentTool {
  readonly definition: ToolDefinition
  /** Undefined: the default agent. */
  readonly agent: string | undefined
}

export const AskArguments = z.strictObject({
  message: z.string().min(1, 'must not be empty').max(LIMITS.messageChars),
  session: Id.optional(),
  policy: Policy.optional(),
  keep: z.boolean().optional(),
})
export type AskArguments = z.infer<typeof AskArguments>

const INPUT_SCHEMA = {
  type: 'object',
  properties: {
    message: { type: 'string', minLength: 1, description: 'The message to the agent.' },
    session: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{1,128}$',
      description: 'Continues this conversation. Omit it for a new one; the result names it.',
    },
    policy: {
      type: 'string',
      enum: Policy.options,
      description: 'What happens to an answer of the session that is still being written. Default: queue.',
    },
    keep: { type: 'boolean', description: 'Let the agent finish even if this request is cancelled or disconnected.' },
  },
  required: ['message'],
  additionalProperties: false,
} as const

const OUTPUT_SCHEMA = {
  type: 'object',
  properties: {
    session: { type: 'string', description: 'The conversation.' },
    run: { type: 'string', description: 'The id of the answer.' },
    text: { type: 'string', description: 'The answer.' },
    state: { type: 'string', enum: ['completed', 'cancelled', 'superseded', 'failed'] },
    cut: { type: 'boolean', description: 'True if the answer is incomplete: it reached a token limit.' },
  },
  required: ['session', 'run', 'text', 'state'],
} as const

const NAME = /^[A-Za-z0-9_.-]{1,124}$/

/** @param agents descriptions of the configured agents by name; an agent whose name does not fit into a tool's is left out */
export function agentTools(agents: ReadonlyMap<string, { readonly description?: string | undefined }>): AgentTool[] {
  const named = [...agents].filter(([name]) => NAME.test(name))
  return [
    agentTool(undefined, 'Asks the assistant of this server.'),
    ...named.map(([name, { description }]) => agentTool(name, description ?? `Asks the agent ${name}.`)),
  ]
}

function agentTool(agent: string | undefined, description: string): AgentTool {
  const name = agent === undefined ? 'ask' : `ask_${agent}`
  const definition = { name, description, inputSchema: INPUT_SCHEMA, outputSchema: OUTPUT_SCHEMA }
  return { agent, definition }
}

/** @returns what is wrong with them, for the model, if they do not fit the schema */
export function parseArguments(given: unknown): AskArguments | { readonly problem: string } {
  const parsed = AskArguments.safeParse(given ?? {})
  if (parsed.success) return parsed.data
  const { message, more } = invalid(parsed.error)
  return { problem: `Invalid arguments: ${more.path === undefined ? '' : `${more.path} `}${message}.` }
}

/** A result that says that the tool failed. The model can read it, unlike an error of the protocol. */
export function failedResult(text: string): Params {
  return { content: [{ type: 'text', text }], isError: true }
}
