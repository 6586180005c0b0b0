// AppendYield: asks the owner of a run, on whatever node it is, to append nothing for a moment, so that somebody else's
// append to the run's subject wins the compare. A port, and only a hint: it may get lost, and whoever asked may never
// come; the compare alone decides. A log of one node needs none: there, both know the same session.
import type { Subscription } from './session-log.ts'

export interface AppendYield {
  /** Throws nothing. */
  ask(session: string, run: string): void
  /** @param listener called for each run that somebody asked for, on any node, this one included; must not throw */
  onAsked(listener: (session: string, run: string) => void): Subscription
}
