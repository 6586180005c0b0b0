// defineTool: declares a server tool in a configuration module. The input schema is a zod schema or a JSON Schema. With
// zod, `execute` gets the parsed and typed input.
import type { FormContent, FormSchema, JsonSchema } from '@parley/protocol'
import { cutText, roundNumbers, ToolName } from '@parley/protocol'
import { z } from 'zod'
import { checkSchema, checkValue, type SchemaCheck } from './json-schema.ts'

export interface ToolContext {
  /** Aborts when the call times out or its run ends. Stop then, and release all resources. */
  readonly signal: AbortSignal
  readonly session: string
  readonly run: string
  readonly call: string
  /**
   * Asks a person, who answers in a form. The time limit of the call stops meanwhile. Questions of one call are asked one at a time.
   * After a restart of the server, an idempotent tool is executed again, and gets the answers to the same questions.
   * @throws an error if the question is invalid; the signal's reason if the call has ended
   * @example
   * const answer = await ask({ message: 'Which size?', schema: z.object({ size: z.enum(['S', 'M', 'L']) }) })
   * if (answer.action !== 'accept') return 'Nothing was ordered.'
   * return order(answer.content.size)
   */
  ask(question: Question<FormSchema>): Promise<Answer>
  ask<Schema extends z.ZodType>(question: Question<Schema>): Promise<Answer<z.infer<Schema>>>
  /**
   * Shows a value to the people who read the run; the model does not get it. A later value with the same `id` replaces it. Values with
   * an id are sent at most 10 times a second: the newest counts.
   * @throws ReplyError too_large, if the data of the run exceeds its limits; TypeError, if it is not JSON
   */
  data(name: string, data: unknown, options?: { readonly id?: string }): void
  /** Shows how far the call is, at most 10 times a second. @throws TypeError, if a number is negative or nothing is given */
  progress(progress: ToolProgress): void
}

/** At least one of `text` and `done`. */
export interface ToolProgress {
  readonly text?: string
  readonly done?: number
  readonly total?: number
}

export interface Question<Schema = z.ZodType | FormSchema> {
  /** For the person; 1 to 4,096 characters. */
  readonly message: string
  /** The fields of the form: an object of texts, numbers, booleans, and choices. Omitted: no fields. */
  readonly schema?: Schema
  /** Milliseconds to wait for an answer; at most, and by default, as long as for an approval (10 minutes). */
  readonly timeoutMs?: number
}

/** `by`: the user, or `server` if nobody answered in time. */
export type Answer<Content = FormContent> =
  | { readonly action: 'accept'; readonly content: Content; readonly by: string }
  | { readonly action: 'decline' | 'cancel'; readonly by: string }

/** The call failed for a reason that is only for the model: its message may be text of another server, and is not logged. */
export class ToolFailure extends Error {
  override readonly name = 'ToolFailure'
}

interface Definition<Schema, Input> {
  readonly name: string
  readonly description?: string
  readonly inputSchema: Schema
  /** A person must approve each call. */
  readonly approval?: boolean
  /** Milliseconds; default 60,000. */
  readonly timeoutMs?: number
  /** Whether a call may be executed again if the server stopped during it. */
  readonly idempotent?: boolean
  /** @returns the output for the model, which must be JSON; if it throws, the model gets the message of the error */
  execute(input: Input, context: ToolContext): unknown
}

/** A validated server tool. */
export interface ServerTool {
  readonly name: string
  readonly description: string | undefined
  readonly inputSchema: JsonSchema
  readonly approval: boolean
  readonly timeoutMs: number
  readonly idempotent: boolean
  /** It belongs to another server (MCP). */
  readonly foreign?: true
  /** The tool stands for another agent: the run's driver answers its calls, and `execute` is never called. */
  readonly agent?: { readonly kind: 'ask' | 'handoff'; readonly name: string }
  check(input: unknown): SchemaCheck | Promise<SchemaCheck>
  execute(input: unknown, context: ToolContext): Promise<unknown>
}

const DEFAULT_TIMEOUT_MS = 60_000

/** @throws TypeError if the definition is invalid; its message has the tool and the reason */
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
  if (!ToolName.safeParse(name).success) throw new TypeError(`"${name}" is not a valid tool name`)
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1)
    throw new TypeError(`tool ${name}: timeoutMs must be a positive integer`)
  const execute = definition.execute as (input: unknown, context: ToolContext) => unknown
  const shared = { name, description, approval, timeoutMs, idempotent }
  if (inputSchema instanceof z.ZodType) {
    return {
      ...shared,
      inputSchema: z.toJSONSchema(inputSchema, { io: 'input' }) as JsonSchema,
      check(input) {
        const result = inputSchema.safeParse(roundNumbers(input))
        return result.success ? { ok: true } : { ok: false, problem: cutText(z.prettifyError(result.error), 300) }
      },
      execute: async (input, context) => execute(inputSchema.parse(roundNumbers(input)), context),
    }
  }
  const schema = inputSchema as JsonSchema
  const check = checkSchema(schema)
  if (!check.ok) throw new TypeError(`tool ${name}: ${check.problem}`)
  return {
    ...shared,
    inputSchema: schema,
    check: (input) => checkValue(schema, input),
    execute: async (input, context) => execute(roundNumbers(input), context),
  }
}
