// AppendYield: a port that asks the driver of a run, on whatever node it is, to pause its appends for a moment, so that
// another append to the run's subject can win the compare. It is only a hint: a request may be lost, and the other
// append may never come; correctness depends on the compare alone. A single-node log does not need it, because both
// sides share one session object.
import type { Subscription } from './session-log.ts'

export interface AppendYield {
  /** Sends the request to all nodes, including this one. Does not wait. Throws nothing. */
  request(session: string, run: string): void
  /** @param listener called for each request from any node, including this one; must not throw */
  onRequest(listener: (session: string, run: string) => void): Subscription
}
