// UnappliedEntries: entries that a session has read and not folded into its state yet: while a run streams, nobody asks for the
// state at each of its tokens. Of outputs it keeps the texts and lets the entries go: thousands of sessions stand here.
import type { RunOutput as OutputEvent } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { type Folded, fold, foldOutputs, type Outputs } from './apply-entry.ts'
import type { SessionState } from './session-state.ts'

interface Stretch extends Outputs {
  seq: Seq
  readonly texts: string[]
}

export class UnappliedEntries {
  /** In the log's order. */
  #steps: (Folded | Stretch)[] = []
  /** The last of them, where it is of outputs. */
  #open: Stretch | undefined
  #length = 0

  /** Entries. */
  get length(): number {
    return this.#length
  }

  add(entry: Entry): void {
    const { seq, event } = entry
    this.#length += 1
    if (event.type !== 'run.output') {
      this.#open = undefined
      this.#steps.push({ seq, time: entry.time, event })
    } else if (this.#open !== undefined && continues(this.#open, event)) {
      this.#open.texts.push(event.text)
      this.#open.seq = seq
    } else {
      const { run, kind, index, text } = event
      this.#open = { seq, run, kind, index, texts: [text] }
      this.#steps.push(this.#open)
    }
  }

  /** The state with all of it, which is then no longer here. */
  foldInto(state: SessionState): SessionState {
    let folded = state
    for (const step of this.#steps) folded = 'event' in step ? fold(folded, step) : foldOutputs(folded, step)
    this.#steps = []
    this.#open = undefined
    this.#length = 0
    return folded
  }
}

function continues(stretch: Stretch, { run, kind, index }: OutputEvent): boolean {
  return stretch.run === run && stretch.kind === kind && stretch.index + stretch.texts.length === index
}
