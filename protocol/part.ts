// Parts: the contents of messages and of a run's compacted output.
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
    /** The resolution in which the model sees an image. */
    detail: z.enum(['auto', 'low', 'high', 'original']).optional(),
  })
  .refine((part) => (part.url === undefined) !== (part.data === undefined), 'must have either url or data')

export type FilePart = z.infer<typeof FilePart>

export const Part = z.discriminatedUnion('type', [TextPart, FilePart])
export type Part = z.infer<typeof Part>

export const Content = z.union([
  z.string().min(1).max(LIMITS.messageChars),
  z.array(Part).min(1).max(LIMITS.messageParts),
])
export type Content = z.infer<typeof Content>

/** A person saw the outputs of a run up to and including this index; -1: none. */
export const Seen = z.object({ run: Id, index: z.int().min(-1) })
export type Seen = z.infer<typeof Seen>

/**
 * Adjacent outputs of a run, compacted. `index` is that of the first output; `lengths` are the lengths of the outputs
 * in UTF-16 code units, so that the text can be cut at any index.
 */
const compactedText = <T extends 'text' | 'reasoning'>(type: T) =>
  z.object({
    type: z.literal(type),
    text: z.string(),
    index: Index,
    lengths: z.array(Index),
    /** The person stopped the run before they saw this text. It is stored, but the model does not receive it. */
    unseen: z.literal(true).optional(),
  })

export const OutputPart = z.discriminatedUnion('type', [
  compactedText('text'),
  compactedText('reasoning'),
  /** The model called a tool here. The call itself is in `tool.called` and `tool.result`. */
  z.object({ type: z.literal('tool'), call: Id, name: z.string() }),
  /** The run took a message here that was sent with `steer`. */
  z.object({ type: z.literal('message'), message: Id }),
])
export type OutputPart = z.infer<typeof OutputPart>
