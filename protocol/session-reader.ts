// SessionReader: a current reader of a session as its owners see it: transport, position, and whether it keeps up.
import { z } from 'zod'

export const READER_DOORS = ['websocket', 'sse', 'ndjson', 'poll', 'openai', 'mcp'] as const

export const SessionReader = z.object({
  connection: z.string(),
  user: z.string(),
  door: z.enum(READER_DOORS),
  node: z.string(),
  /** The position up to which the server has sent the session. */
  cursor: z.string(),
  /** `behind`: the reader is catching up from the log. */
  state: z.enum(['live', 'behind']),
  /** Unix milliseconds at which it started reading, by its node's clock. */
  since: z.number(),
  /** Unsent bytes of its connection, including those of other sessions. */
  unsentBytes: z.int().min(0),
  /** Milliseconds since it fell behind, if it was live before. */
  behindMs: z.int().min(0).optional(),
})
export type SessionReader = z.infer<typeof SessionReader>

/** `GET /v1/sessions/{session}/readers` */
export const ReadersAnswer = z.object({
  /** At most 200 of each node: those that are behind first, then the oldest. */
  readers: z.array(SessionReader),
  /** The number of readers on all nodes that answered. */
  count: z.int().min(0),
  /** The nodes that answered in time, this one first. Other nodes may have readers, too. */
  nodes: z.array(z.string()),
})
export type ReadersAnswer = z.infer<typeof ReadersAnswer>
