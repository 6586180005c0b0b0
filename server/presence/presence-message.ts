// What nodes tell each other of presence, and reading it: another node may run another version, so nothing is taken for granted.
// A node counts its messages, so that who missed one knows it.
import { PresenceMember } from '@parley/protocol'
import { z } from 'zod'
import { MEMBERS_NAMED } from './presence-crowd.ts'

const Sessions = z.array(z.string().max(128)).optional()
const Present = z.object({ member: PresenceMember, at: z.number() })
const Room = z.object({
  session: z.string().max(128),
  count: z.int().min(1),
  present: z.array(Present).max(MEMBERS_NAMED),
})

const PresenceMessage = z.object({
  /** One process of a node: another after each start. */
  node: z.string().max(128),
  /** Of this node's messages. */
  number: z.int().min(1),
  /** Sessions where it has somebody, and wants to know who else has. */
  asks: Sessions,
  /** Sessions where it has nobody any more. */
  left: Sessions,
  rooms: z.array(Room).optional(),
  /** It stops. */
  bye: z.literal(true).optional(),
})
export type PresenceMessage = z.infer<typeof PresenceMessage>
export type RoomMessage = z.infer<typeof Room>

/** @returns undefined for what is not ours */
export function readMessage(value: unknown): PresenceMessage | undefined {
  const parsed = PresenceMessage.safeParse(value)
  return parsed.success ? parsed.data : undefined
}
