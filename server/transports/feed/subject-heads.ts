// SubjectHeads: the last entry of each run's subject that a feed has delivered. If a compacting entry (`rollup`) has another
// predecessor, it replaces entries that were compacted before this node read them, for example during an outage. Live
// readers then need the full text of that entry.
import type { Entry, Seq } from '../../store/ports/entry.ts'

/** Maximum number of remembered subjects. If one was forgotten, its compacting entry is sent in full, which only costs bytes. */
const MAX_SUBJECTS = 1_024

export interface NonRunEntryListener {
  onNonRunEntry(entry: Entry): void
}

export class SubjectHeads {
  readonly #from: Seq
  /** Created for the second subject. */
  #heads: Map<string, Seq> | undefined
  /** Subject and sequence number of the last entry, not in the map yet: the next entry nearly always has the same subject. */
  #subject: string | undefined
  #seq: Seq = 0

  /** @param from readers have received all entries up to this position */
  constructor(from: Seq) {
    this.#from = from
  }

  /**
   * Records the entries that are delivered next.
   * @param listener called for entries that belong to no run; it is called here so that tokens need no extra check
   * @returns the compacting entries that readers need in full; undefined if there are none
   */
  record(entries: readonly Entry[], listener?: NonRunEntryListener): ReadonlySet<Entry> | undefined {
    let inFull: Set<Entry> | undefined
    for (const entry of entries) {
      const { subject, seq } = entry
      // Nearly always another output of the same run.
      if (subject === this.#subject && !entry.rollup) {
        this.#seq = seq
        continue
      }
      if (!subject.startsWith('run.')) {
        listener?.onNonRunEntry(entry)
        continue
      }
      if (entry.rollup && !this.#follows(entry)) inFull = (inFull ?? new Set<Entry>()).add(entry)
      if (subject !== this.#subject) this.#switchTo(subject)
      this.#seq = seq
    }
    return inFull
  }

  #switchTo(subject: string): void {
    if (this.#subject !== undefined) {
      this.#heads ??= new Map()
      this.#heads.set(this.#subject, this.#seq)
      if (this.#heads.size > MAX_SUBJECTS) forgetOldest(this.#heads)
    }
    this.#subject = subject
  }

  #follows({ subject, prev }: Entry): boolean {
    const last = subject === this.#subject ? this.#seq : this.#heads?.get(subject)
    return last === undefined ? prev <= this.#from : last === prev
  }
}

function forgetOldest(heads: Map<string, Seq>): void {
  const [oldest] = heads.keys()
  if (oldest !== undefined) heads.delete(oldest)
}
