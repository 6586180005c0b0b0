// Assignment: a client's variant of an experiment, and the transports that it should prefer.
import { z } from 'zod'

/** Transports that a client can read by. The client finds out which of them work. */
export const PREFERRED_DOORS = ['websocket', 'sse', 'poll'] as const
export type PreferredDoor = (typeof PREFERRED_DOORS)[number]

export const Assignment = z.object({
  /** The experiment's name. */
  name: z.string(),
  variant: z.string(),
  /** Best first; all others follow in the client's own order. Omitted: the client's own order applies. */
  doors: z.array(z.enum(PREFERRED_DOORS)).optional(),
})
export type Assignment = z.infer<typeof Assignment>
