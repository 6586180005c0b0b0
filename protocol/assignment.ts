// Assignment: which variant of an experiment a client takes part in, and the doors that it is asked to prefer.
import { z } from 'zod'

/** Doors that a client may stay at; which of them gets through is for the client to find out. */
export const PREFERRED_DOORS = ['websocket', 'sse', 'poll'] as const
export type PreferredDoor = (typeof PREFERRED_DOORS)[number]

export const Assignment = z.object({
  /** The experiment's. */
  name: z.string(),
  variant: z.string(),
  /** Best first; those that are not named come after, in the client's own order. Left out: that order. */
  doors: z.array(z.enum(PREFERRED_DOORS)).optional(),
})
export type Assignment = z.infer<typeof Assignment>
