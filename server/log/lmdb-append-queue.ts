// AppendQueue: appends that wait for a commit, within bounds, and the compare that decides them. `form` takes what
// one commit may hold and compares in order, each append against what is durable and the winners before it.
import type { Event } from '@parley/protocol'
import { Entry, type Seq } from './entry.ts'
import type { Lane, Overlay, Tail } from './lmdb-overlay.ts'
import { Conflict, type StorageError } from './log-error.ts'

export interface AppendLimits {
  /** Appends that may wait for a commit, and their JSON's length together; more are refused. */
  readonly queueEntries: number
  readonly queueBytes: number
  /** Of one commit. */
  readonly groupEntries: number
  readonly groupBytes: number
}

/** One append, from call to answer. */
export interface Append {
  readonly session: string
  readonly subject: string
  readonly event: Event
  readonly json: string
  readonly expect: Seq
  readonly rollup: boolean
  readonly resolve: (entry: Entry) => void
  readonly reject: (error: Error) => void
}

export interface Winner {
  readonly session: string
  readonly entry: Entry
  readonly append: Append
  readonly tail: Tail
  readonly lane: Lane
}

interface Loser {
  readonly append: Append
  readonly last: Seq
  readonly tail: Tail
  readonly lane: Lane
}

/** What one commit decides. The winners' sequence numbers are consecutive, their time is the same. */
export interface Commit {
  readonly time: number
  readonly winners: readonly Winner[]
  readonly losers: readonly Loser[]
}

/** Finds the last settled sequence number of a subject. */
export type SettledLast = (session: string, subject: string) => Seq

export class AppendQueue {
  readonly #limits: AppendLimits
  #waiting: Append[] = []
  #bytes = 0

  constructor(limits: AppendLimits) {
    this.#limits = limits
  }

  get length(): number {
    return this.#waiting.length
  }

  /** @returns false when there is no room */
  push(append: Append): boolean {
    const { queueEntries, queueBytes } = this.#limits
    const bytes = this.#bytes + append.json.length
    if (this.#waiting.length >= queueEntries || (this.#waiting.length > 0 && bytes > queueBytes)) return false
    this.#bytes = bytes
    this.#waiting.push(append)
    return true
  }

  /** @param last the store's last sequence number */
  form(overlay: Overlay, last: Seq, time: number, settledLast: SettledLast): Commit {
    const winners: Winner[] = []
    const losers: Loser[] = []
    let bytes = 0
    let taken = 0
    for (const append of this.#waiting) {
      const { session, subject, json, rollup } = append
      if (taken === this.#limits.groupEntries || (taken > 0 && bytes + json.length > this.#limits.groupBytes)) break
      taken++
      bytes += json.length
      const [tail, lane] = overlay.lane(session, subject, settledLast)
      const prev = lane.pending || lane.last
      if (append.expect !== prev) {
        losers.push({ append, last: prev, tail, lane })
        continue
      }
      const seq = last + winners.length + 1
      lane.pending = seq
      const entry = new Entry({ seq, prev, subject, time, rollup, json }, append.event)
      winners.push({ session, entry, append, tail, lane })
    }
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken)
    this.#bytes -= bytes
    return { time, winners, losers }
  }
}

/** The commit is on disk and its winners are shown: everybody is told. */
export function answer({ winners, losers }: Commit, overlay: Overlay): void {
  for (const { tail, lane } of losers) overlay.loosen(tail, lane)
  for (const { append, entry } of winners) append.resolve(entry)
  for (const { append, last } of losers) append.reject(new Conflict(last))
}

/** Nothing of the commit is on disk. A loser may have lost to a winner that is none now: it is told the same. */
export function withdraw({ winners, losers }: Commit, overlay: Overlay, error: StorageError): void {
  for (const { tail, lane } of winners) {
    lane.pending = 0
    overlay.loosen(tail, lane)
  }
  for (const { tail, lane } of losers) overlay.loosen(tail, lane)
  for (const { append } of winners) append.reject(error)
  for (const { append } of losers) append.reject(error)
}
