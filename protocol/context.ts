// Context: what a message brings along for its run alone: the conversation before it, where its sender keeps that and not the
// session; instructions, tools that the sender answers in a later message, and how the model is to be sampled.
import { z } from 'zod'
import { LIMITS } from './limits.ts'
import { Part } from './part.ts'
import { Tool } from './tool.ts'

const Text = z.string().max(LIMITS.messageChars)
/** As the caller knows it: a call of the session has its `call` id, one from elsewhere any other. */
const CallId = z.string().min(1).max(256)

export const ContextMessage = z.discriminatedUnion('role', [
  /** Holds from then on: the model is told at its beginning, with the instructions. */
  z.object({ role: z.literal('system'), text: Text }),
  z.object({ role: z.literal('user'), content: z.array(Part).max(LIMITS.messageParts) }),
  z.object({
    role: z.literal('assistant'),
    text: Text.optional(),
    calls: z
      .array(z.object({ call: CallId, name: z.string().max(128), input: z.unknown() }))
      .max(LIMITS.messageParts)
      .optional(),
  }),
  /** The result of a call. */
  z.object({ role: z.literal('tool'), call: CallId, output: z.unknown() }),
])
export type ContextMessage = z.infer<typeof ContextMessage>

/** Where a model does not know one, it passes over it. */
export const Sampling = z.object({
  maxOutputTokens: z.int().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().min(0).max(1).optional(),
  presencePenalty: z.number().min(-2).max(2).optional(),
  frequencyPenalty: z.number().min(-2).max(2).optional(),
  stop: z.array(z.string().max(256)).max(16).optional(),
  seed: z.int().optional(),
  /** The answer is JSON, of this schema where there is one. */
  json: z
    .object({ schema: z.record(z.string(), z.unknown()).optional(), name: z.string().max(64).optional() })
    .optional(),
  /** Or the name of the tool that has to be called. */
  toolChoice: z.union([z.enum(['auto', 'none', 'required']), z.object({ name: z.string().max(128) })]).optional(),
})
export type Sampling = z.infer<typeof Sampling>

export const Context = z.object({
  /** Comes after the session's messages, and before this one. */
  history: z.array(ContextMessage).max(LIMITS.contextMessages).optional(),
  /** After the server's own. */
  instructions: Text.optional(),
  /** Instead of all others. The run ends when the model has called them: their results come in a later message's `history`. */
  tools: z.array(Tool).max(LIMITS.contextTools).optional(),
  sampling: Sampling.optional(),
  /** Of the caller's own; it is kept with the message, and the model is not told. */
  metadata: z
    .record(z.string().max(66), z.string().max(512))
    .refine((own) => Object.keys(own).length <= 20, 'at most 20 of them')
    .optional(),
})
export type Context = z.infer<typeof Context>
