// UnappliedEntries: entries that a replica has read but not applied yet, because nobody asks for the state at each
// token of a run. Of outputs it keeps only the texts: a node holds thousands of sessions, and parsed entries would cost
// far more.
import type { RunOutput as OutputEvent } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { applyEntry, applyOutputs, type LoggedEvent, type OutputBatch } from './apply-entry.ts'
import type { Owned } from './owned.ts'
import type { SessionState } from './session-state.ts'

interface OpenBatch extends OutputBatch {
  seq: Seq
  readonly texts: string[]
}

export class UnappliedEntries {
  /** In the order of the log. */
  #steps: (LoggedEvent | OpenBatch)[] = []
  /** The last step, if it is a batch of outputs. */
  #open: OpenBatch | undefined
  #length = 0

  /** The number of entries. */
  get length(): number {
    return this.#length
  }

  add(entry: Entry): void {
    const { seq, event } = entry
    this.#length += 1
    if (event.type !== 'run.output' || (event.kind !== 'text' && event.kind !== 'reasoning')) {
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

  /** Returns the state after all entries, and removes them. */
  applyTo(state: SessionState): SessionState {
    let next = state
    const owned: Owned = new Set()
    for (const step of this.#steps)
      next = 'event' in step ? applyEntry(next, step, owned) : applyOutputs(next, step, owned)
    this.#steps = []
    this.#open = undefined
    this.#length = 0
    return next
  }
}

function continues(batch: OpenBatch, { run, kind, index }: OutputEvent): boolean {
  return batch.run === run && batch.kind === kind && batch.index + batch.texts.length === index
}
