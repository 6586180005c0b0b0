// What the embedded session log is made of, and its limits.
import type { Logger } from 'pino'
import type { Seq } from '../ports/entry.ts'
import type { Retention } from '../ports/session-log.ts'
import type { AppendLimits } from './append-queue.ts'
import type { LmdbEnvironment } from './environment.ts'
import type { Journal } from './journal/journal.ts'
import type { LogState } from './log-state.ts'

export interface LmdbLogOptions {
  readonly environment: LmdbEnvironment
  readonly state: LogState
  readonly journal: Journal
  readonly epoch: string
  /** The last sequence number that the session's transcript covers, in this epoch; 0: no transcript. */
  readonly covered: (session: string) => Seq
  readonly retention: Retention
  /** Called after a sweep with the sessions that need compaction, so that the next sweep can remove their entries. */
  readonly onUncovered?: (sessions: ReadonlySet<string>) => void
  /** Unix milliseconds: the clock for the times of entries and for retention. */
  readonly now: () => number
  readonly logger: Logger
  readonly limits?: Partial<LmdbLogLimits>
}

export interface LmdbLogLimits extends AppendLimits {
  /**
   * A checkpoint of half of the journal starts if the journal is larger than this, or its oldest commit is older than
   * `journalAgeMs`.
   */
  readonly journalBytes: number
  readonly journalAgeMs: number
  readonly sweepIntervalMs: number
}

export const DEFAULT_LIMITS: LmdbLogLimits = {
  queueEntries: 200_000,
  queueBytes: 128 * 1024 * 1024,
  groupEntries: 2048,
  groupBytes: 4 * 1024 * 1024,
  journalBytes: 64 * 1024 * 1024,
  journalAgeMs: 30_000,
  sweepIntervalMs: 60_000,
}
