// Context: input that a message carries for its own run: an earlier conversation that the sender keeps outside the
// session, instructions, tools whose results the sender supplies in a later message, and sampling options.
import { z } from 'zod'
import { LIMITS } from './limits.ts'
import { Marks } from './marks.ts'
import { FilePart, Part } from './part.ts'
import { Tool } from './tool.ts'

const Text = z.string().max(LIMITS.messageChars)
/** A call of the session by its `call` id, or a call from elsewhere by any other id. */
const CallId = z.string().min(1).max(256)

/** The name in a call: the model wrote it, and it may name a tool that does not exist. */
export const CalledName = z.string().max(1_024)

export const ContextMessage = z.discriminatedUnion('role', [
  /**
   * Also applies to the runs of later messages. The model receives it in its place; before all other messages, together
   * with the instructions.
   */
  z.object({ role: z.literal('system'), text: Text }),
  z.object({ role: z.literal('user'), content: z.array(Part).max(LIMITS.messageParts) }),
  z.object({
    role: z.literal('assistant'),
    text: Text.optional(),
    calls: z
      .array(z.object({ call: CallId, name: CalledName, input: z.unknown(), marks: Marks.optional() }))
      .max(LIMITS.messageParts)
      .optional(),
  }),
  /** The result of a call, and its files. The model receives the files in a user message after the results of the step. */
  z.object({
    role: z.literal('tool'),
    call: CallId,
    output: z.unknown(),
    files: z.array(FilePart).min(1).max(LIMITS.messageParts).optional(),
  }),
])
export type ContextMessage = z.infer<typeof ContextMessage>

const Word = z.string().min(1).max(32)
const Key = z.string().min(1).max(256)

/** Options of the model. A model ignores those that it does not support, except for guarantees. */
export const Sampling = z.object({
  maxOutputTokens: z.int().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().min(0).max(1).optional(),
  presencePenalty: z.number().min(-2).max(2).optional(),
  frequencyPenalty: z.number().min(-2).max(2).optional(),
  stop: z.array(z.string().max(256)).max(16).optional(),
  seed: z.int().optional(),
  /** The answer must be JSON; with `schema`, it must match that schema. */
  json: z
    .object({
      schema: z.record(z.string(), z.unknown()).optional(),
      name: z.string().max(64).optional(),
      description: z.string().max(8192).optional(),
      /** Whether the provider enforces the schema. Omitted: the default of the provider's package. */
      strict: z.boolean().optional(),
    })
    .optional(),
  /** A mode, or the name of the tool that the model must call. */
  toolChoice: z.union([z.enum(['auto', 'none', 'required']), z.object({ name: z.string().max(128) })]).optional(),
  /** Whether the model may call several tools at once. */
  parallelToolCalls: z.boolean().optional(),
  /** `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`. */
  reasoningEffort: Word.optional(),
  /** `auto`, `concise` or `detailed`. */
  reasoningSummary: Word.optional(),
  /** `standard` or `pro`. */
  reasoningMode: Word.optional(),
  verbosity: z.enum(['low', 'medium', 'high']).optional(),
  /** Added to the logits of the tokens with these ids. */
  logitBias: z
    .record(z.string().max(16), z.number().min(-100).max(100))
    .refine((own) => Object.keys(own).length <= 1_024, 'must have at most 1024 keys')
    .optional(),
  /** `auto`: the oldest messages that exceed the limits are left out. `disabled`: none are, and the provider may refuse the prompt. */
  truncation: z.enum(['auto', 'disabled']).optional(),
  serviceTier: Word.optional(),
  promptCacheKey: Key.optional(),
  promptCacheRetention: Word.optional(),
  /** Identifies the end user to the provider. */
  safetyIdentifier: Key.optional(),
  user: Key.optional(),
})
export type Sampling = z.infer<typeof Sampling>

export const Context = z.object({
  /** Messages between the session's own and this one. */
  history: z.array(ContextMessage).max(LIMITS.contextMessages).optional(),
  /** Follow the server's own instructions. */
  instructions: Text.optional(),
  /** Replace all other tools. The run ends once the model has called them; a later `history` contains the results. */
  tools: z.array(Tool).max(LIMITS.contextTools).optional(),
  sampling: Sampling.optional(),
  /** The caller's own data. The server stores it with the message; the model does not receive it. */
  metadata: z
    .record(z.string().max(66), z.string().max(512))
    .refine((own) => Object.keys(own).length <= 20, 'must have at most 20 keys')
    .optional(),
})
export type Context = z.infer<typeof Context>
