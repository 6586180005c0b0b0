// RunNotices: a port through which nodes publish which runs of which users they drive. Nothing is stored, and a notice
// may be lost. A receiver forgets a run unless its node repeats the notice.
import type { Subscription } from './session-log.ts'

/** A user's key (not the user's id), and a run's id. */
export type NoticedRun = readonly [user: string, run: string]

export interface RunNotice {
  /** Runs that the sender drives now. */
  readonly on: readonly NoticedRun[]
  /** Runs that the sender no longer drives. */
  readonly off: readonly NoticedRun[]
}

export interface RunNotices {
  /** Publishes to all other nodes. Does not wait. Throws nothing. */
  notify(notice: RunNotice): void
  /** @param listener receives the notices of other nodes; must not throw */
  onNotified(listener: (notice: RunNotice) => void): Subscription
}
