// Timeline: a session's entries, the lanes of its runs, and the session's view after any entry. It uses the client's
// own view: it stores checkpoints of it, and replays the entries from a checkpoint. No clock, no I/O.
//
//   checkpoint ─ entry … entry ─ checkpoint ─ entry … entry ─ checkpoint ─ … ─ head
import { applyEntry, newSession, type SessionView } from '@parley/client'
import { applyToLane, type LaneMessage, type LogEntry, newLane, type RunLane } from './run-lane.ts'

/** Entries between two checkpoints: one step of the scrubber replays at most this many. */
export const CHECKPOINT_INTERVAL = 64
/** If there are more entries, the oldest are evicted and only their checkpoint remains. */
export const ENTRIES_MAX = 50_000

export class Timeline {
  readonly session: string
  readonly #max: number
  #entries: LogEntry[] = []
  /** The views before each entry whose index is a multiple of CHECKPOINT_INTERVAL, starting at `first`. */
  #checkpoints: SessionView[]
  #first = 0
  #head: SessionView
  #lanes = new Map<string, RunLane>()
  #messages = new Map<string, LaneMessage>()
  /** The last result of viewAt, from which the next request may continue. */
  #lastView: { readonly index: number; readonly view: SessionView } | undefined

  constructor(session: string, max = ENTRIES_MAX) {
    this.session = session
    this.#max = max
    this.#head = newSession(session)
    this.#checkpoints = [this.#head]
  }

  /** The index of the oldest entry: the number of evicted entries. */
  get first(): number {
    return this.#first
  }

  /** The index of the next entry. */
  get count(): number {
    return this.#first + this.#entries.length
  }

  /** In the order of their first entries. */
  get lanes(): ReadonlyMap<string, RunLane> {
    return this.#lanes
  }

  get head(): SessionView {
    return this.#head
  }

  entry(index: number): LogEntry | undefined {
    return this.#entries[index - this.#first]
  }

  /** @throws GapError, without a change, if the entry does not follow the previous one */
  add(entry: LogEntry): void {
    const after = applyEntry(this.#head, entry)
    if (after === this.#head) return
    if (this.count % CHECKPOINT_INTERVAL === 0 && this.count > this.#first) this.#checkpoints.push(this.#head)
    this.#updateLane(this.count, entry)
    this.#entries.push(entry)
    this.#head = after
    if (this.#entries.length >= this.#max + CHECKPOINT_INTERVAL) this.#evictOldest()
  }

  /** The session's view after the entry at `index`; for an evicted entry, the oldest checkpoint. */
  viewAt(index: number): SessionView {
    const at = Math.min(index, this.count - 1)
    if (at === this.count - 1) return this.#head
    if (at < this.#first) return this.#checkpoints[0] as SessionView
    const block = Math.floor((at - this.#first) / CHECKPOINT_INTERVAL)
    const start = this.#first + block * CHECKPOINT_INTERVAL
    const last = this.#lastView
    let from = start
    let view = this.#checkpoints[block] as SessionView
    if (last !== undefined && last.index >= start && last.index <= at) {
      from = last.index + 1
      view = last.view
    }
    for (let next = from; next <= at; next += 1) view = applyEntry(view, this.entry(next) as LogEntry)
    this.#lastView = { index: at, view }
    return view
  }

  #updateLane(index: number, { time, event }: LogEntry): void {
    if (event.type === 'message') {
      this.#messages.set(event.id, { id: event.id, author: event.author, time, index })
      // A message that steers an existing run does not change the run's lane.
      if (this.#lanes.has(event.run)) return
    }
    if (!('run' in event)) return
    const message = this.#messages.get(event.type === 'message' ? event.id : messageOf(event))
    const lane = this.#lanes.get(event.run) ?? newLane(event.run, index, time, message)
    this.#lanes.set(event.run, applyToLane(lane, index, time, event))
  }

  #evictOldest(): void {
    const checkpoints = Math.ceil((this.#entries.length - this.#max) / CHECKPOINT_INTERVAL)
    const entries = CHECKPOINT_INTERVAL * checkpoints
    this.#entries = this.#entries.slice(entries)
    this.#checkpoints = this.#checkpoints.slice(checkpoints)
    this.#first += entries
    this.#lastView = undefined
    for (const [run, { end, to }] of this.#lanes) {
      if (end !== undefined && to < this.#first) this.#lanes.delete(run)
    }
    for (const [id, { index }] of this.#messages) if (index < this.#first) this.#messages.delete(id)
  }
}

function messageOf(event: LogEntry['event']): string {
  return 'message' in event && typeof event.message === 'string' ? event.message : ''
}
