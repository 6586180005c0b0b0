// ClientTool: something that the model may have done on this machine.
import type { JsonSchema, Tool } from '@parley/protocol'
import type { Session } from './session.ts'

export interface ToolContext {
  /** Aborted when the call is no longer this client's: the run ended, the claim was lost, the client closes. */
  readonly signal: AbortSignal
  /** The call's id; the same for the same call, so it serves as an idempotency key. */
  readonly call: string
  readonly session: Session
}

export interface ClientTool<Input = unknown, Output = unknown> {
  readonly name: string
  readonly description?: string
  /** JSON Schema of the input; any object when left out. The server checks against it. */
  readonly inputSchema?: JsonSchema
  /** JSON Schema of the output; the server checks against it. */
  readonly outputSchema?: JsonSchema
  /** A person must approve each call (`session.decide`) before it runs. */
  readonly approval?: boolean
  /** Milliseconds that a call may take. */
  readonly timeoutMs?: number
  /** What it throws is told to the model as an error, by its message. */
  execute(input: Input, context: ToolContext): Output | Promise<Output>
}

/** Declares a tool; the types of input and output are yours to state, the schemas are what is checked. */
export function tool<Input = Record<string, unknown>, Output = unknown>(
  definition: ClientTool<Input, Output>,
): ClientTool {
  return definition as ClientTool
}

/** What of a tool goes onto the wire. */
export function declaration(definition: ClientTool): Tool {
  const { name, description, inputSchema, outputSchema, approval, timeoutMs } = definition
  return {
    name,
    ...(description === undefined ? {} : { description }),
    ...(inputSchema === undefined ? {} : { inputSchema }),
    ...(outputSchema === undefined ? {} : { outputSchema }),
    ...(approval === undefined ? {} : { approval }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}
