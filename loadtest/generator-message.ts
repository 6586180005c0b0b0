// What the process that counts and its generators say to each other.
import type { DoorName } from './drivers/driver.ts'
import type { Habits } from './plan.ts'
import type { AskRecord, GeneratorHealth, Progress } from './record.ts'

export interface GeneratorJob {
  /** This one's part of the users: every `parts`th, from `part` on. */
  readonly part: number
  readonly parts: number
  /** Unix milliseconds, the beginning that all share. */
  readonly startAt: number
  readonly habits: Habits
  /** Users take turns at them. */
  readonly doors: readonly DoorName[]
  readonly urls: readonly string[]
  /** Begins the names of sessions. */
  readonly name: string
  readonly model: string | undefined
  /** Whether the text of the answer is known before. */
  readonly text: 'demo' | 'other'
  readonly token: string | undefined
  readonly silenceMs: number
  /** How long after the last question an answer may take. */
  readonly drainMs: number
}

export type FromGenerator =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'records'; readonly records: readonly AskRecord[] }
  | {
      readonly type: 'done'
      readonly bytes: Readonly<Partial<Record<DoorName, number>>>
      readonly health: GeneratorHealth
    }
