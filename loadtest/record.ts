// Records: what became of each question, as generators hand it to the process that counts.
import type { DoorName } from './drivers/driver.ts'
import type { Faults } from './stream-verifier.ts'

export type Outcome = 'completed' | 'abandoned' | 'failed' | 'unfinished'

/** Times are milliseconds; those of the answer count from when the question was meant to be sent, not from when it was. */
export interface AskRecord {
  readonly door: DoorName
  readonly at: number
  /** How much later than meant it was sent: the generator's own lateness. */
  readonly late: number
  readonly first?: number
  readonly done?: number
  /** What of these the model takes itself. */
  readonly meantFirst: number
  readonly meantDone: number
  readonly outputs: number
  readonly outcome: Outcome
  readonly error?: string
  readonly interruptions: number
  readonly resets: number
  /** From each interruption to where reading went on. */
  readonly gaps: readonly number[]
  readonly faults: Readonly<Faults>
}

/** What happened in one process since it told last. */
export interface Progress {
  readonly outputs: number
  readonly asked: number
  readonly ended: number
  readonly interruptions: number
  readonly faults: number
  /** As it is now. */
  readonly active: number
}

/** How well the generator itself did. */
export interface GeneratorHealth {
  /** p99 in ms: how late its event loop was, and its questions. */
  readonly loopDelay: number
  readonly lateness: number
  /** Of one core, 0 to 1. */
  readonly cpu: number
}
