// defineTool: a tool that runs on the server, as a configuration module declares it. The input's schema
// is zod's or JSON Schema; with zod, `execute` gets the parsed and typed input.
import type { JsonSchema } from '@parley/protocol'
import { ToolName } from '@parley/protocol'
import { z } from 'zod'
import { checkSchema, checkValue, type SchemaCheck } from './json-schema.ts'

export interface ToolContext {
  /** Aborted when the call took too long, or its run has ended: stop, and free what you hold. */
  readonly signal: AbortSignal
  readonly session: string
  readonly run: string
  readonly call: string
}

interface Definition<Schema, Input> {
  readonly name: string
  readonly description?: string
  readonly inputSchema: Schema
  /** A person must approve each call. */
  readonly approval?: boolean
  /** Milliseconds; default 60,000. */
  readonly timeoutMs?: number
  /** A call may be made a second time when the server stopped in the middle of it. */
  readonly idempotent?: boolean
  /** @returns what the model is given, as JSON; what it throws, the model is told as an error, by its message */
  execute(input: Input, context: ToolContext): unknown
}

/** A tool of the server, ready for use. */
export interface ServerTool {
  readonly name: string
  readonly description: string | undefined
  readonly inputSchema: JsonSchema
  readonly approval: boolean
  readonly timeoutMs: number
  readonly idempotent: boolean
  check(input: unknown): SchemaCheck
  execute(input: unknown, context: ToolContext): Promise<unknown>
}

const DEFAULT_TIMEOUT_MS = 60_000

/** @throws TypeError when the definition does not hold together; it says which tool and why */
export function defineTool<Schema extends z.ZodType>(definition: Definition<Schema, z.infer<Schema>>): ServerTool
export function defineTool(definition: Definition<JsonSchema, unknown>): ServerTool
export function defineTool(definition: Definition<z.ZodType | JsonSchema, never>): ServerTool {
  const {
    name,
    description,
    inputSchema,
    approval = false,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    idempotent = false,
  } = definition
  if (!ToolName.safeParse(name).success) throw new TypeError(`"${name}" cannot name a tool`)
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1)
    throw new TypeError(`tool ${name}: timeoutMs is not a whole number above 0`)
  const execute = definition.execute as (input: unknown, context: ToolContext) => unknown
  const shared = { name, description, approval, timeoutMs, idempotent }
  if (inputSchema instanceof z.ZodType) {
    return {
      ...shared,
      inputSchema: z.toJSONSchema(inputSchema, { io: 'input' }) as JsonSchema,
      check(input) {
        const result = inputSchema.safeParse(input)
        return result.success ? { ok: true } : { ok: false, problem: z.prettifyError(result.error).slice(0, 300) }
      },
      execute: async (input, context) => execute(inputSchema.parse(input), context),
    }
  }
  const schema = inputSchema as JsonSchema
  const check = checkSchema(schema)
  if (!check.ok) throw new TypeError(`tool ${name}: ${check.problem}`)
  return {
    ...shared,
    inputSchema: schema,
    check: (input) => checkValue(schema, input),
    execute: async (input, context) => execute(input, context),
  }
}
