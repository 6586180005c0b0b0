// PresenceNews: what nodes tell each other of who is here. A port, and a hint: nothing is stored, each message may be lost, and
// those of one node come in the order in which it told them. A log of one node needs none.
import type { Subscription } from './session-log.ts'

export interface PresenceNews {
  /** Tells all nodes, this one included. Throws nothing. @returns false while nobody can be told */
  tell(message: unknown): boolean
  /** @param listener must not throw; what it is given may be of any shape */
  onTold(listener: (message: unknown) => void): Subscription
}
