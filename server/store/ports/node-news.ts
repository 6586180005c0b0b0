// NodeNews: the port over which nodes tell each other one kind of news, such as who is present. Nothing is stored, and messages can
// get lost. The messages of one node arrive in the order of publication. The embedded log has only one node and does not need it.
import type { Subscription } from './session-log.ts'

export interface NodeNews {
  /**
   * Publishes a JSON value to all nodes, including this one. Throws nothing.
   * @returns false if nothing can be sent now
   */
  notify(message: unknown): boolean
  /** @param listener receives every message, of unchecked shape; must not throw */
  onNotified(listener: (message: unknown) => void): Subscription
}
