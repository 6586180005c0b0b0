// Tool: the declaration of a tool that a client runs for the model.
import { z } from 'zod'

export const ToolName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1–64 characters from A-Z a-z 0-9 _ -')

/** A JSON Schema (draft 7 or 2020-12). The server checks it when a client declares the tool. */
export const JsonSchema = z.record(z.string(), z.unknown())
export type JsonSchema = z.infer<typeof JsonSchema>

export const Tool = z.object({
  name: ToolName,
  description: z.string().max(8192).optional(),
  /** The schema of the input. Omitted: any object. */
  inputSchema: JsonSchema.optional(),
  /** Whether the provider enforces the schema of the input. Omitted: the provider's default. */
  strict: z.boolean().optional(),
  /** If present, the server checks results against it. */
  outputSchema: JsonSchema.optional(),
  /** A person must approve a call (`tool.decide`) before a connection can claim it. */
  approval: z.boolean().optional(),
  /** Maximum milliseconds from `tool.called` (or the approval) to `tool.result`. */
  timeoutMs: z.int().min(100).max(3_600_000).optional(),
})
export type Tool = z.infer<typeof Tool>

/** A declaration in the log. */
export const DeclaredTool = Tool.extend({
  /** The user whose connection declared it. Absent in entries of older servers. */
  by: z.string().optional(),
})
export type DeclaredTool = z.infer<typeof DeclaredTool>
