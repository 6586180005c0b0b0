// UsageLedger: a port with the usage of each account per window of time. Each process is a writer of its own, and
// stores the growing total of only its own usage; the usage of an account is the sum over its writers. So nobody reads
// before a write, a repeated write counts once, and the usage of a process remains after the process has ended.
import type { Subscription } from './session-log.ts'

/** Identifies one account in one window of time. */
export interface Counter {
  /** Characters: `A-Z a-z 0-9 _ -`. */
  readonly account: string
  readonly windowMs: number
  /** The number of the window, which begins at `index * windowMs` (Unix milliseconds). */
  readonly index: number
}

/** What one writer has counted. */
export interface Tally extends Counter {
  /** The name of a process, which no other process ever uses. Characters: `A-Z a-z 0-9 _ -`. */
  readonly writer: string
  /** Never decreases. */
  readonly total: number
}

export interface LedgerListener {
  /** Another process has stored a tally. Updates may be lost: then `missed` follows. */
  updated(tally: Tally): void
  /** Updates may have been lost: load the counters that matter again. */
  missed(): void
}

export interface UsageLedger {
  /**
   * Replaces the stored tallies of these counters and writers. A writer makes one call at a time.
   * @throws StorageError
   */
  put(tallies: readonly Tally[]): Promise<void>
  /** @returns the last tally of every writer. @throws StorageError */
  load(counter: Counter): Promise<readonly Tally[]>
  /** Reports the tallies that other processes put from now on. */
  follow(listener: LedgerListener): Subscription
  /** Deletes the windows of length `windowMs` with an index below `before`. Idempotent. @throws StorageError */
  forget(windowMs: number, before: number): Promise<void>
}
