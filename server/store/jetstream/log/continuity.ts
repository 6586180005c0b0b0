// Continuity: whether an entry follows on what a feed has handed out. Nothing is handed out without the one before it on
// its subject, unless it is a roll-up, which needs none. A run may be rolled up while it is read: then some of its entries
// are nowhere any more, and nothing of it is handed out until the roll-up comes, which stands for all of them.
import type { Entry, Seq } from '../../ports/entry.ts'
import type { RecentEntries } from './recent-entries.ts'

/**
 * `next`: to be handed out; `had`: it was, or a roll-up stands for it, or will; `late`: it was not, and later ones were;
 * `gap`: the one before it was not.
 */
export type Verdict = 'next' | 'had' | 'late' | 'gap'

/** What was read of the log: everything that lives after `from`, up to `to`. */
export interface Stretch {
  readonly from: Seq
  readonly to: Seq
}

export class Continuity {
  readonly #recent: RecentEntries
  /** Subjects that wait for a roll-up. */
  readonly #replaced = new Set<string>()

  /** @param recent knows what was handed out after its floor; before that nothing is doubted */
  constructor(recent: RecentEntries) {
    this.#recent = recent
  }

  /** @param at up to where all was handed out */
  judge(entry: Entry, at: Seq): Verdict {
    const { seq, prev, subject, rollup } = entry
    if (seq <= at) return this.has(seq, subject) ? 'had' : 'late'
    if (rollup) return 'next'
    if (this.#replaced.size > 0 && this.#replaced.has(subject)) return 'had'
    return prev === 0 || this.has(prev, subject) ? 'next' : 'gap'
  }

  /** As `judge`, once the log was read: what is in no stretch of it that was read was rolled up. */
  judgeRead(entry: Entry, at: Seq, read: Stretch): Verdict {
    const verdict = this.judge(entry, at)
    const missing = verdict === 'gap' ? entry.prev : entry.seq
    if ((verdict !== 'gap' && verdict !== 'late') || missing <= read.from || missing > read.to) return verdict
    this.#replaced.add(entry.subject)
    return 'had'
  }

  /** Whether it was handed out, and so all before it on its subject; or a roll-up stands for it, or will. */
  has(seq: Seq, subject: string): boolean {
    return seq <= this.#recent.floor || this.#recent.knows(seq, subject) || this.#replaced.has(subject)
  }

  /** It is handed out. */
  took({ rollup, subject }: Entry): void {
    if (rollup && this.#replaced.size > 0) this.#replaced.delete(subject)
  }
}
