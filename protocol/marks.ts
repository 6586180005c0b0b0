// Marks: what a model's provider wants back, unchanged, with a call of its model. Opaque to clients: only the server reads the text.
// Callers may send any text.
import { z } from 'zod'

/** UTF-16 code units. A log entry takes at most 1 MiB, and the call's input has to fit as well. */
export const MARKS_CHARS = 256 * 1024
export const Marks = z.string().max(MARKS_CHARS)

/** The marks of one part of an answer: a provider's name, and its fields. */
const Mark = z.record(z.string(), z.record(z.string(), z.string()))
export type Mark = z.infer<typeof Mark>

const CallMarks = z.object({
  /** The id of the model that made the call. Other models do not get the marks. */
  model: z.string(),
  call: Mark.optional(),
  /** The parts before the call, from the previous call of the same answer on. The log has the text, so its length is enough. */
  before: z
    .array(
      z.union([
        z.object({ reasoning: z.string(), mark: Mark.optional() }),
        z.object({ chars: z.int().min(0), mark: Mark.optional() }),
      ]),
    )
    .optional(),
})
export type CallMarks = z.infer<typeof CallMarks>

/** @returns undefined for any other text, such as the encrypted reasoning of another server */
export function parseMarks(text: string | undefined): CallMarks | undefined {
  if (text === undefined) return undefined
  try {
    return CallMarks.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
