// ScatterGather: asks all other nodes something about a session, and gathers what they answer within a moment. A port, and for
// what may be incomplete: a node that is slow or cut off is not waited for. With a log of one node there is nobody to ask.
import type { Subscription } from './session-log.ts'

/** Milliseconds in which an answer has to be here. */
export const SCATTER_GATHER_MS = 300
/** Answers that are taken. */
export const SCATTER_GATHER_NODES = 128

export interface ScatterGather {
  /** @returns what the other nodes answered; none when they cannot be reached. Throws nothing */
  ask(session: string): Promise<readonly unknown[]>
  /** @param answer what this node tells others, a value of JSON; one that throws is not there for them */
  answerWith(answer: (session: string) => Promise<unknown>): Subscription
}
