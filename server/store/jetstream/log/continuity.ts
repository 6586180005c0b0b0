// Continuity: whether an entry may be delivered next. An entry needs its predecessor on the subject, unless it is a
// rollup. If a run is compacted while it is read, some of its entries no longer exist. Then nothing of this run is
// delivered before the rollup, which replaces all of them.
import type { Entry, Seq } from '../../ports/entry.ts'
import type { RecentEntries } from './recent-entries.ts'

/**
 * `next`: deliver it; `seen`: it was delivered, or a rollup replaces it now or later; `late`: it was not delivered, but
 * later entries were; `gap`: its predecessor was not delivered.
 */
export type Verdict = 'next' | 'seen' | 'late' | 'gap'

/** All living entries after `from`, up to `to`, were read from the log. */
export interface ReadRange {
  readonly from: Seq
  readonly to: Seq
}

export class Continuity {
  readonly #recent: RecentEntries
  /** Compacted subjects whose rollup has not arrived yet. */
  #awaitingRollup: Set<string> | undefined

  /** @param recent the delivered entries after its floor; entries up to the floor count as delivered */
  constructor(recent: RecentEntries) {
    this.#recent = recent
  }

  /** @param at the position up to which everything was delivered */
  judge(entry: Entry, at: Seq): Verdict {
    const { seq, prev, subject, rollup } = entry
    if (seq <= at) return this.has(seq, subject) ? 'seen' : 'late'
    if (rollup) return 'next'
    if (this.#awaitingRollup?.has(subject) === true) return 'seen'
    return prev === 0 || this.has(prev, subject) ? 'next' : 'gap'
  }

  /** Like `judge`, after the log was read: an entry that is missing from the read range was compacted. */
  judgeRead(entry: Entry, at: Seq, read: ReadRange): Verdict {
    const verdict = this.judge(entry, at)
    const missing = verdict === 'gap' ? entry.prev : entry.seq
    if ((verdict !== 'gap' && verdict !== 'late') || missing <= read.from || missing > read.to) return verdict
    this.#awaitingRollup ??= new Set()
    this.#awaitingRollup.add(entry.subject)
    return 'seen'
  }

  /** Whether an entry and its predecessors on the subject were delivered, or a rollup replaces them now or later. */
  has(seq: Seq, subject: string): boolean {
    return seq <= this.#recent.floor || this.#recent.knows(seq, subject) || this.#awaitingRollup?.has(subject) === true
  }

  /** Called for each delivered entry. */
  delivered({ rollup, subject }: Entry): void {
    if (!rollup || this.#awaitingRollup === undefined) return
    this.#awaitingRollup.delete(subject)
    if (this.#awaitingRollup.size === 0) this.#awaitingRollup = undefined
  }
}
