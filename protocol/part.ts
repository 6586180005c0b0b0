// Parts: what a message and a run's output are made of.
import { z } from 'zod'
import { Id } from './id.ts'
import { LIMITS } from './limits.ts'

const Index = z.int().min(0)

export const TextPart = z.object({ type: z.literal('text'), text: z.string().max(LIMITS.messageChars) })

/** A file for the model: by URL, or inline as base64. Exactly one of `url` and `data`. */
export const FilePart = z
  .object({
    type: z.literal('file'),
    mediaType: z.string().min(3).max(127),
    name: z.string().max(255).optional(),
    url: z
      .url({ protocol: /^https?$/ })
      .max(2048)
      .optional(),
    data: z.base64().max(LIMITS.messageChars).optional(),
  })
  .refine((part) => (part.url === undefined) !== (part.data === undefined), 'a file has either url or data')

export const Part = z.discriminatedUnion('type', [TextPart, FilePart])
export type Part = z.infer<typeof Part>

export const Content = z.union([
  z.string().min(1).max(LIMITS.messageChars),
  z.array(Part).min(1).max(LIMITS.messageParts),
])
export type Content = z.infer<typeof Content>

/** What a person saw of a run: every output with an index up to and including this one. -1: nothing. */
export const Seen = z.object({ run: Id, index: z.int().min(-1) })
export type Seen = z.infer<typeof Seen>

/**
 * One stretch of a run's output, folded. `index` is that of its first output; `lengths` holds the
 * length of each output in it, in UTF-16 code units, so that the text can be cut at any index.
 */
const foldedText = <T extends 'text' | 'reasoning'>(type: T) =>
  z.object({
    type: z.literal(type),
    text: z.string(),
    index: Index,
    lengths: z.array(Index),
    /** The person did not see it: they stopped the run before. It is kept, and not given to the model. */
    unseen: z.literal(true).optional(),
  })

export const OutputPart = z.discriminatedUnion('type', [
  foldedText('text'),
  foldedText('reasoning'),
  /** Here the model called a tool; the call itself is in `tool.called` and `tool.result`. */
  z.object({ type: z.literal('tool'), call: Id, name: z.string() }),
  /** Here the run took a message that was sent to it with `steer`. */
  z.object({ type: z.literal('message'), message: Id }),
])
export type OutputPart = z.infer<typeof OutputPart>
