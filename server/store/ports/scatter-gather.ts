// ScatterGather: a port that sends a query about a session to all other nodes, and gathers their answers. The result
// may be incomplete: it does not wait for slow or unreachable nodes. A single-node log does not need it.
import type { Subscription } from './session-log.ts'

/** A query gathers answers for this long (ms). */
export const SCATTER_GATHER_MS = 300
/** Answers that one query gathers at most. */
export const SCATTER_GATHER_NODES = 128

export interface ScatterGather {
  /**
   * @returns the JSON values that other nodes answered, of unchecked shape; none if no node is reachable. Throws
   *   nothing
   */
  query(session: string): Promise<readonly unknown[]>
  /** @param answer returns this node's answer, a JSON value. If it rejects, this node sends no answer. */
  respondWith(answer: (session: string) => Promise<unknown>): Subscription
}
