// Doors: the names of the transports, as the wire, the log and the metrics use them.
import { z } from 'zod'
import { READER_DOORS } from './session-reader.ts'

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
