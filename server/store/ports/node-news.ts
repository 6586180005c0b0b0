// NodeNews: a port through which nodes publish one kind of news, such as who is present. Nothing is stored, and any message may be
// lost. Messages of one node arrive in the order in which it published them. A single-node log does not need it.
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
