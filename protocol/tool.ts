// Tools as a client declares them on attach.
import { z } from 'zod'

export const ToolName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a tool name is 1–64 of A-Z a-z 0-9 _ -')

/** A JSON Schema (draft 7 or 2020-12); checked when a tool is declared. */
export const JsonSchema = z.record(z.string(), z.unknown())
export type JsonSchema = z.infer<typeof JsonSchema>

export const Tool = z.object({
  name: ToolName,
  description: z.string().max(8192).optional(),
  /** The shape of the input; any object when left out. */
  inputSchema: JsonSchema.optional(),
  /** When given, results are checked against it. */
  outputSchema: JsonSchema.optional(),
  /** A person must decide (`tool.decide`) before a call may be claimed. */
  approval: z.boolean().optional(),
  /** Milliseconds a call may take from `tool.called` (or its approval) to `tool.result`. */
  timeoutMs: z.int().min(100).max(3_600_000).optional(),
})
export type Tool = z.infer<typeof Tool>
