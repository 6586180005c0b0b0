// Doors: ways to a session, as metrics and the log name them.
import { z } from 'zod'
import { READER_DOORS } from './session-reader.ts'

/** Those that one reads by, and those that answer once: a request with its result, a job. */
export const DOORS = [...READER_DOORS, 'request', 'job'] as const
export const Door = z.enum(DOORS)
export type Door = z.infer<typeof Door>

/** Milliseconds: no gap is told of that is longer. */
const GAP_MAX_MS = 24 * 60 * 60 * 1000

/** What a client tells that comes back: for metrics alone, nothing else depends on it. */
export const Resume = z.object({
  /** That it read by before. */
  door: Door,
  /** Milliseconds since it last heard something, where a run was under way. */
  gapMs: z.number().min(0).max(GAP_MAX_MS).optional(),
})
export type Resume = z.infer<typeof Resume>
