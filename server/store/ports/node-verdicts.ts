// NodeVerdicts: a port that reports what this node concluded about other nodes that seemed to be dead.
import type { Subscription } from './session-log.ts'

export interface NodeVerdict {
  /**
   * `refuted`: the node answered. `gone`: its process ended, or it lost the connection to the store. `silent`: it neither
   * ended nor answered.
   */
  readonly outcome: 'refuted' | 'gone' | 'silent'
  /** Runs that this node returned to the queue for it. 0 if the node had none, or if another node returns them. */
  readonly runs: number
}

export interface NodeVerdicts {
  /** @param listener must not throw */
  onVerdict(listener: (verdict: NodeVerdict) => void): Subscription
}
