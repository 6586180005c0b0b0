// RunNotices: which users' runs are under way on other nodes. A port, and a hint: nothing is stored, a notice may be lost, and
// what is not repeated is forgotten.
import type { Subscription } from './session-log.ts'

/** A user's key, and a run. */
export type NoticedRun = readonly [user: string, run: string]

export interface RunNotice {
  readonly on: readonly NoticedRun[]
  readonly off: readonly NoticedRun[]
}

export interface RunNotices {
  /** Tells all other nodes. Throws nothing. */
  tell(notice: RunNotice): void
  onTold(listener: (notice: RunNotice) => void): Subscription
}
