// What a store can refuse, as local errors: doors and the run engine turn them into reply errors
// or ends of runs. A store throws nothing else on purpose.
import type { Seq } from './entry.ts'

/** Somebody appended to the subject first: its last entry is `last`, not the one that was expected. */
export class Conflict extends Error {
  override readonly name = 'Conflict'
  readonly last: Seq

  constructor(last: Seq) {
    super(`the subject's last entry is ${last}`)
    this.last = last
  }
}

/** The log cannot go on from a cursor: it is of another epoch, older than the tail, or beyond the head. */
export class CursorLost extends Error {
  override readonly name = 'CursorLost'
  readonly reason: 'foreign' | 'trimmed' | 'beyond'

  constructor(reason: 'foreign' | 'trimmed' | 'beyond') {
    super(`the cursor is lost: ${reason}`)
    this.reason = reason
  }
}

/** Nothing was stored. `full`: no space is left; `unavailable`: the store is away, stopped or broken. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly reason: 'full' | 'unavailable'

  constructor(reason: 'full' | 'unavailable', cause?: unknown) {
    super(reason === 'full' ? 'no space is left for the log' : 'the log cannot be written', { cause })
    this.reason = reason
  }
}
