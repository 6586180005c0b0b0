// SessionReader: somebody who reads a session now, as its owners are told: from where, how far, and whether they keep up.
import { z } from 'zod'

export const READER_DOORS = ['websocket', 'sse', 'ndjson', 'poll', 'openai'] as const

export const SessionReader = z.object({
  connection: z.string(),
  user: z.string(),
  door: z.enum(READER_DOORS),
  node: z.string(),
  /** Up to where it was sent the session. */
  cursor: z.string(),
  /** `behind`: it reads what it lacks from the log. */
  state: z.enum(['live', 'behind']),
  /** Unix milliseconds, by its node's clock. */
  since: z.number(),
  /** Bytes that wait for its connection, those of its other sessions included. */
  unsentBytes: z.int().min(0),
  /** Milliseconds for which one that was live before has been behind. */
  behindMs: z.int().min(0).optional(),
})
export type SessionReader = z.infer<typeof SessionReader>

/** `GET /v1/sessions/{session}/readers` */
export const ReadersAnswer = z.object({
  /** Of each node those that are behind first, then the oldest; at most 200 of a node. */
  readers: z.array(SessionReader),
  /** On all nodes that answered. */
  count: z.int().min(0),
  /** Those that answered in time, this one first. One that is not named may have readers, too. */
  nodes: z.array(z.string()),
})
export type ReadersAnswer = z.infer<typeof ReadersAnswer>
