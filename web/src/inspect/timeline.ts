// Timeline: a session's entries, the lanes of its runs, and the session as it was after each of them. Folds nothing by itself
// that the client's own view does: it keeps that view now and then, and goes on from there. No clock, no I/O.
//
//   base ─ entry … entry ─ kept view ─ entry … entry ─ kept view ─ … ─ head
import { applyEntry, newSession, type SessionView } from '@parley/client'
import { foldLane, type LaneMessage, type LogEntry, newLane, type RunLane } from './run-lane.ts'

/** Entries from one kept view to the next: as many are folded at most for one step of the scrubber. */
export const STRIDE = 64
/** Entries that are held; beyond, the oldest are let go of, and only what they came to is left. */
export const ENTRIES_MAX = 50_000

export class Timeline {
  readonly session: string
  readonly #max: number
  #entries: LogEntry[] = []
  /** The view before every entry whose index is a multiple of STRIDE, from `first` on. */
  #kept: SessionView[]
  #first = 0
  #head: SessionView
  #lanes = new Map<string, RunLane>()
  #messages = new Map<string, LaneMessage>()
  /** The view that was last asked for, and the index of its last entry. */
  #asked: { readonly index: number; readonly view: SessionView } | undefined

  constructor(session: string, max = ENTRIES_MAX) {
    this.session = session
    this.#max = max
    this.#head = newSession(session)
    this.#kept = [this.#head]
  }

  /** The index of the oldest entry that is held: how many came before it. */
  get first(): number {
    return this.#first
  }

  /** The index that the next entry will have. */
  get count(): number {
    return this.#first + this.#entries.length
  }

  /** In the order in which the log first tells of them. */
  get lanes(): ReadonlyMap<string, RunLane> {
    return this.#lanes
  }

  get head(): SessionView {
    return this.#head
  }

  entry(index: number): LogEntry | undefined {
    return this.#entries[index - this.#first]
  }

  /** @throws GapError when it does not follow on what is held; then nothing has changed */
  add(entry: LogEntry): void {
    const after = applyEntry(this.#head, entry)
    if (after === this.#head) return
    if (this.count % STRIDE === 0 && this.count > this.#first) this.#kept.push(this.#head)
    this.#tell(this.count, entry)
    this.#entries.push(entry)
    this.#head = after
    if (this.#entries.length >= this.#max + STRIDE) this.#letGo()
  }

  /** The session after the entry at `index`; before the first that is held, what all before it came to. */
  viewAt(index: number): SessionView {
    const at = Math.min(index, this.count - 1)
    if (at === this.count - 1) return this.#head
    if (at < this.#first) return this.#kept[0] as SessionView
    const block = Math.floor((at - this.#first) / STRIDE)
    const begins = this.#first + block * STRIDE
    const asked = this.#asked
    let from = begins
    let view = this.#kept[block] as SessionView
    if (asked !== undefined && asked.index >= begins && asked.index <= at) {
      from = asked.index + 1
      view = asked.view
    }
    for (let next = from; next <= at; next += 1) view = applyEntry(view, this.entry(next) as LogEntry)
    this.#asked = { index: at, view }
    return view
  }

  #tell(index: number, { time, event }: LogEntry): void {
    if (event.type === 'message') {
      this.#messages.set(event.id, { id: event.id, author: event.author, time, index })
      // One that steers a run is told of by the message alone, unless there is no such run yet.
      if (this.#lanes.has(event.run)) return
    }
    if (!('run' in event)) return
    const message = this.#messages.get(event.type === 'message' ? event.id : messageOf(event))
    const lane = this.#lanes.get(event.run) ?? newLane(event.run, index, time, message)
    this.#lanes.set(event.run, foldLane(lane, index, time, event))
  }

  #letGo(): void {
    const gone = STRIDE * Math.ceil((this.#entries.length - this.#max) / STRIDE)
    this.#entries = this.#entries.slice(gone)
    this.#kept = this.#kept.slice(gone / STRIDE)
    this.#first += gone
    this.#asked = undefined
    for (const [run, { end, to }] of this.#lanes) {
      if (end !== undefined && to < this.#first) this.#lanes.delete(run)
    }
    for (const [id, { index }] of this.#messages) if (index < this.#first) this.#messages.delete(id)
  }
}

function messageOf(event: LogEntry['event']): string {
  return 'message' in event && typeof event.message === 'string' ? event.message : ''
}
