// ClientTool: a tool that the model may run on this machine.
import type { JsonSchema, Tool } from '@parley/protocol'
import type { Session } from './session.ts'

export interface ToolContext {
  /** Aborts when the call is no longer this client's: its run ended, the claim was lost, or the client closes. */
  readonly signal: AbortSignal
  /** The call's id. It is constant across retries, so it can serve as an idempotency key. */
  readonly call: string
  readonly session: Session
}

/** A tool of this client. Its output is any JSON value. */
export interface ClientTool<Input = unknown, Output = unknown> {
  readonly name: string
  readonly description?: string
  /** JSON Schema of the input; default: any object. The server and this client refuse inputs that do not match. */
  readonly inputSchema?: JsonSchema
  /** JSON Schema of the output. The server validates outputs with it. */
  readonly outputSchema?: JsonSchema
  /**
   * Whether a person must approve each call (`session.decide`) before it runs on this device, even if other devices declare the
   * tool without approval.
   */
  readonly approval?: boolean
  /** Timeout of a call, in milliseconds. */
  readonly timeoutMs?: number
  /** Runs a call. If it throws, the model receives the error’s message. */
  execute(input: Input, context: ToolContext): Output | Promise<Output>
}

/**
 * Declares a tool. The type parameters are not checked at run time: the server validates with the schemas.
 * @example
 * const clock = tool({ name: 'clock', description: 'The local time.', execute: () => new Date().toString() })
 */
export function tool<Input = Record<string, unknown>, Output = unknown>(
  definition: ClientTool<Input, Output>,
): ClientTool {
  return definition as ClientTool
}

/** The part of a tool that the client sends to the server. */
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
