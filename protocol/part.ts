// Parts: the contents of messages and of a run's compacted output.
import { z } from 'zod'
import { Id } from './id.ts'
import { LIMITS, OUTPUT_LIMITS } from './limits.ts'

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

/** What an output of kind `data`, `source` or `file` adds to the run. */
export const dataFields = { name: z.string().min(1).max(64), id: z.string().min(1).max(128).optional() }
export const sourceFields = { url: z.string().max(2048), title: z.string().max(1024).optional() }
export const fileFields = {
  mediaType: z.string().min(3).max(127),
  /** The id of a stored file. */
  file: Id.optional(),
  /** `https:`, `http:`, or `data:` for small files. */
  url: z.string().max(OUTPUT_LIMITS.runFileChars).optional(),
  name: z.string().max(255).optional(),
}

/**
 * Adjacent outputs of a run, compacted. `index` is that of the first output; `lengths` are the lengths of the outputs
 * in UTF-16 code units, so that the text can be cut at any index. Outputs without text have the length 0.
 */
const outputs = {
  text: z.string(),
  index: Index,
  lengths: z.array(Index),
  /** The person stopped the run before they saw this output. It is stored, but the model does not receive it. */
  unseen: z.literal(true).optional(),
}

export const OutputPart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), ...outputs }),
  z.object({ type: z.literal('reasoning'), ...outputs }),
  /** The arguments of a tool call, as the model wrote them. */
  z.object({ type: z.literal('input'), call: Id, name: z.string(), ...outputs }),
  /** Without `data`, a later part with the same `id` has replaced it. */
  z.object({ type: z.literal('data'), ...dataFields, data: z.unknown().optional(), ...outputs }),
  z.object({ type: z.literal('source'), ...sourceFields, ...outputs }),
  z.object({ type: z.literal('file'), ...fileFields, ...outputs }),
  /** The model called a tool here. The call itself is in `tool.called` and `tool.result`. */
  z.object({ type: z.literal('tool'), call: Id, name: z.string() }),
  /** The run took a message here that was sent with `steer`. */
  z.object({ type: z.literal('message'), message: Id }),
])
export type OutputPart = z.infer<typeof OutputPart>
/** A part that stands for numbered outputs. */
export type NumberedPart = Extract<OutputPart, { lengths: number[] }>
