// UsageLedger: what was spent, by account and window of time. A port. Each process is a writer of its own and says only what
// it has spent itself, as a total that grows; an account's sum is over its writers. So nobody reads before writing, nothing
// is counted twice however often it is said, and what a process said stays when it is gone.
import type { Subscription } from './session-log.ts'

/** What is counted together. */
export interface Counter {
  /** Of `A-Z a-z 0-9 _ -`. */
  readonly account: string
  readonly windowMs: number
  /** Which window: from `index * windowMs` on, in Unix milliseconds. */
  readonly index: number
}

export interface Tally extends Counter {
  /** Of one process: no other ever has its name. Of `A-Z a-z 0-9 _ -`. */
  readonly writer: string
  readonly total: number
}

export interface LedgerListener {
  /** Another process has said it. Some may be missed: `missed` says when. */
  told(tally: Tally): void
  /** From now on what was told before may be old: load again what matters. */
  missed(): void
}

export interface UsageLedger {
  /** Replaces what these writers said before. One at a time for a writer. @throws StorageError */
  put(tallies: readonly Tally[]): Promise<void>
  /** What every writer last said. @throws StorageError */
  load(counter: Counter): Promise<readonly Tally[]>
  /** What other processes put from now on. */
  follow(listener: LedgerListener): Subscription
  /** Forgets windows of this length before one. Idempotent. @throws StorageError */
  forget(windowMs: number, before: number): Promise<void>
}
