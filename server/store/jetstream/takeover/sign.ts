// Sign: the message by which a node shows all other nodes that it lives, several times a second. Core NATS, not stored.
import { z } from 'zod'
import { ROWS_OF_A_SIGN } from './roster.ts'
import type { Cause } from './suspicion.ts'

/** Part of a subject. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)
const count = z.number().int().nonnegative()

const Sign = z.object({
  /** Random for each process: a restarted node is another one. */
  node: id,
  /** The node's name for people, with whole rosters. */
  name: z.string().max(256).optional(),
  /** Grows by one with each sign of life. */
  number: count,
  /** Grows by one with each sign of life that has `took` or `left`. */
  news: count,
  /** The id of the NATS server to which it is connected. */
  server: z.string().max(64),
  /** Acknowledgement subjects of deliveries that the node drives from now on. */
  took: z.array(z.string().max(512)).max(ROWS_OF_A_SIGN).readonly().default([]),
  /** Messages that it no longer drives. */
  left: z.array(z.number().int().positive()).max(ROWS_OF_A_SIGN).readonly().default([]),
  /** `took` is a part of the whole roster. Only the node that requested it gets it. */
  whole: z.object({ part: count, parts: count.positive() }).optional(),
  /** A node that the sender lost. The sender returns its runs to the queue. */
  lost: z.object({ node: id, cause: z.enum(['gone', 'silent']) satisfies z.ZodType<Cause> }).optional(),
  /** The node stops, and drives nothing. */
  bye: z.boolean().default(false),
})
export type Sign = z.output<typeof Sign>

/** @returns undefined if another program, or another version, published it */
export function parseSign(value: unknown): Sign | undefined {
  const parsed = Sign.safeParse(value)
  return parsed.success ? parsed.data : undefined
}

/** Without the fields that have their default. */
export function encodeSign({ took, left, bye, ...rest }: Sign): string {
  return JSON.stringify({
    ...rest,
    ...(took.length > 0 ? { took } : {}),
    ...(left.length > 0 ? { left } : {}),
    ...(bye ? { bye } : {}),
  })
}
