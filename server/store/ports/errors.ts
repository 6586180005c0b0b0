// The errors that a store throws on purpose. They are local errors: transports turn them into reply errors, and the run
// engine turns them into ends of runs. They never reach the wire.
import type { Seq } from './entry.ts'

/**
 * A compare failed: the subject's last entry, or the stored revision, is `last` and not the expected one. Nothing was
 * stored.
 */
export class Conflict extends Error {
  override readonly name = 'Conflict'
  /** What a retry must expect: the subject's last sequence number, or the revision; 0 if there is none. */
  readonly last: Seq

  constructor(last: Seq) {
    super(`the subject's last entry is ${last}`)
    this.last = last
  }
}

/**
 * The log cannot continue from a cursor; the reader must start again from a snapshot.
 * - `foreign`: it is malformed or of another epoch
 * - `trimmed`: retention has removed entries after it
 * - `beyond`: it is after the end of the log
 */
export class CursorLost extends Error {
  override readonly name = 'CursorLost'
  readonly reason: 'foreign' | 'trimmed' | 'beyond'

  constructor(reason: 'foreign' | 'trimmed' | 'beyond') {
    super(`the cursor is lost: ${reason}`)
    this.reason = reason
  }
}

/**
 * The store did not confirm a write, or could not read.
 * - `full`: no space is left. Nothing was stored.
 * - `unavailable`: the store is unreachable, overloaded, stopped or broken. A write without an answer may still have
 *   been stored; a retry with the same `expect` stores it at most once.
 */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly reason: 'full' | 'unavailable'

  constructor(reason: 'full' | 'unavailable', cause?: unknown) {
    super(reason === 'full' ? 'no space is left for the log' : 'the log is unavailable', { cause })
    this.reason = reason
  }
}
