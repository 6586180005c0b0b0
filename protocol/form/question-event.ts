// QuestionEvent: the entries of a question that a running tool asks a person.
import { z } from 'zod'
import { Id } from '../id.ts'
import { FormContent, FormSchema, QuestionAction } from './form.ts'

/**
 * A running tool asks a person. The question is open until `tool.answered`, the result of its call, another question of the call,
 * or the end of its run.
 */
export const ToolAsked = z.object({
  type: z.literal('tool.asked'),
  run: Id,
  call: Id,
  question: Id,
  message: z.string(),
  /** The form of the answer. */
  schema: FormSchema,
  /** Unix milliseconds at which the server gives up waiting. */
  until: z.number(),
})

export const ToolAnswered = z.object({
  type: z.literal('tool.answered'),
  run: Id,
  call: Id,
  question: Id,
  action: QuestionAction,
  /** With `accept`. */
  content: FormContent.optional(),
  /** The user, or `server` if nobody answered in time. */
  by: z.string(),
  command: Id.optional(),
})

export type ToolAsked = z.infer<typeof ToolAsked>
export type ToolAnswered = z.infer<typeof ToolAnswered>
