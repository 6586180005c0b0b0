// SubjectHeads: the last entry of each run's subject that a feed handed out. A roll-up whose predecessor is another one stands
// for entries that were gone before they came here (the log was away, and was read again later): readers need it whole.
import type { Entry, Seq } from '../../store/ports/entry.ts'

/** Subjects that are remembered; of one that was forgotten a roll-up is shown whole, which costs bytes and no more. */
const SUBJECTS = 1_024

export interface OtherEntries {
  ofNoRun(entry: Entry): void
}

export class SubjectHeads {
  readonly #from: Seq
  /** Made for the second subject. */
  #lasts: Map<string, Seq> | undefined
  /** The subject of the last entry, and its number: nearly always the next one's too, and not in the map yet. */
  #subject: string | undefined
  #seq: Seq = 0

  /** @param from readers have everything up to here */
  constructor(from: Seq) {
    this.#from = from
  }

  /**
   * Takes what is handed out next.
   * @param others called for entries that are of no run: asked here, where it costs a token nothing
   * @returns the roll-ups among it that readers need whole; undefined: none
   */
  take(entries: readonly Entry[], others?: OtherEntries): ReadonlySet<Entry> | undefined {
    let whole: Set<Entry> | undefined
    for (const entry of entries) {
      const { subject, seq } = entry
      // Nearly always one more output of the same run.
      if (subject === this.#subject && !entry.rollup) {
        this.#seq = seq
        continue
      }
      if (!subject.startsWith('run.')) {
        others?.ofNoRun(entry)
        continue
      }
      if (entry.rollup && !this.#follows(entry)) whole = (whole ?? new Set<Entry>()).add(entry)
      if (subject !== this.#subject) this.#turnTo(subject)
      this.#seq = seq
    }
    return whole
  }

  #turnTo(subject: string): void {
    if (this.#subject !== undefined) {
      this.#lasts ??= new Map()
      this.#lasts.set(this.#subject, this.#seq)
      if (this.#lasts.size > SUBJECTS) forgetOne(this.#lasts)
    }
    this.#subject = subject
  }

  #follows({ subject, prev }: Entry): boolean {
    const last = subject === this.#subject ? this.#seq : this.#lasts?.get(subject)
    return last === undefined ? prev <= this.#from : last === prev
  }
}

function forgetOne(lasts: Map<string, Seq>): void {
  for (const oldest of lasts.keys()) {
    lasts.delete(oldest)
    return
  }
}
