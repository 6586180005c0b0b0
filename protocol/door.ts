// Doors: the names of the transports, as the wire, the log and the metrics use them. SessionReader: a current reader of a session as
// its owners see it: transport, position, and whether it keeps up.
import { z } from 'zod'

export const READER_DOORS = ['websocket', 'sse', 'ndjson', 'poll', 'openai', 'mcp'] as const

/** Transports that read a session, and transports that answer once: a request with its result, a job. */
export const DOORS = [...READER_DOORS, 'request', 'job'] as const
export const Door = z.enum(DOORS)
export type Door = z.infer<typeof Door>

/** Milliseconds; a client reports no longer gap. */
const GAP_MAX_MS = 24 * 60 * 60 * 1000

/** Reported by a client that resumes. The server uses it for metrics only. */
export const Resume = z.object({
  /** The transport by which the client read before. */
  door: Door,
  /** Milliseconds since the client last received something, if a run was active. */
  gapMs: z.number().min(0).max(GAP_MAX_MS).optional(),
})
export type Resume = z.infer<typeof Resume>

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
