// Messages between the main process and its load generators.
import type { TransportName } from './drivers/driver.ts'
import type { Habits } from './plan.ts'
import type { Faults } from './stream-verifier.ts'

export interface GeneratorJob {
  /** This generator simulates every `parts`th user, beginning with number `part`. */
  readonly part: number
  readonly parts: number
  /** The common start time of all generators, in Unix milliseconds. */
  readonly startAt: number
  readonly habits: Habits
  /** Users are assigned to them in turn. */
  readonly doors: readonly TransportName[]
  readonly urls: readonly string[]
  /** Prefix of the session ids. */
  readonly name: string
  readonly model: string | undefined
  /** `demo`: the text of every answer is known in advance. */
  readonly text: 'demo' | 'other'
  readonly token: string | undefined
  readonly silenceMs: number
  /** Time for outstanding answers after the last question, in ms. */
  readonly drainMs: number
}

export type FromGenerator =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'records'; readonly records: readonly AskRecord[] }
  | {
      readonly type: 'done'
      readonly bytes: Readonly<Partial<Record<TransportName, number>>>
      readonly health: GeneratorHealth
    }

export type Outcome = 'completed' | 'abandoned' | 'failed' | 'unfinished'

/** The result of one question. Times are in ms; those of the answer count from the planned time of the question. */
export interface AskRecord {
  readonly door: TransportName
  readonly at: number
  /** How late the generator sent the question. */
  readonly late: number
  readonly first?: number
  readonly done?: number
  /** The model's own share of `first` and `done`. */
  readonly meantFirst: number
  readonly meantDone: number
  readonly outputs: number
  readonly outcome: Outcome
  readonly error?: string
  readonly interruptions: number
  readonly resets: number
  /** The time from each interruption to the resumption. */
  readonly gaps: readonly number[]
  readonly faults: Readonly<Faults>
}

/** What happened in one generator since its last report. */
export interface Progress {
  readonly outputs: number
  readonly asked: number
  readonly ended: number
  readonly interruptions: number
  readonly faults: number
  /** Answers that are active now. */
  readonly active: number
}

/** Whether a generator kept up with its plan. */
export interface GeneratorHealth {
  /** p99 of the delay of its event loop and of its questions, in ms. */
  readonly loopDelay: number
  readonly lateness: number
  /** Share of one core, 0 to 1. */
  readonly cpu: number
}
