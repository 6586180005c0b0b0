// The presence messages between nodes. Received messages are validated, because another node may run another version. A node
// numbers its messages, so that receivers notice a lost one.
import { PresenceMember } from '@parley/protocol'
import { z } from 'zod'
import { MEMBERS_MAX } from './presence-summary.ts'

const Sessions = z.array(z.string().max(128)).optional()
const Present = z.object({ member: PresenceMember, at: z.number() })
const Room = z.object({
  session: z.string().max(128),
  count: z.int().min(1),
  present: z.array(Present).max(MEMBERS_MAX),
})

const PresenceMessage = z.object({
  /** Id of the sending process; every start has a new one. */
  node: z.string().max(128),
  /** Sequence number of the sender's messages. */
  number: z.int().min(1),
  /** Sessions in which the sender has members, and asks other nodes for theirs. */
  asks: Sessions,
  /** Sessions in which the sender no longer has members. */
  left: Sessions,
  rooms: z.array(Room).optional(),
  /** The sender shuts down. */
  bye: z.literal(true).optional(),
})
export type PresenceMessage = z.infer<typeof PresenceMessage>
export type RoomMessage = z.infer<typeof Room>

/** @returns undefined for an invalid message */
export function parseMessage(value: unknown): PresenceMessage | undefined {
  const parsed = PresenceMessage.safeParse(value)
  return parsed.success ? parsed.data : undefined
}
