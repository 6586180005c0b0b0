// AppendQueue: appends that wait for a commit, within bounds, and the compare that decides them. `form` takes what
// one commit may hold and compares in order, each append against what is durable and the winners before it.
import type { Event } from '@parley/protocol'
import { Entry, type Seq } from './entry.ts'
import type { Lane, Overlay, Tail } from './lmdb-overlay.ts'
import { Conflict, type StorageError } from './log-error.ts'
import type { AppendListener } from './session-log.ts'

export interface AppendLimits {
  /** Appends that may wait for a commit, and their JSON's length together; more are refused. */
  readonly queueEntries: number
  readonly queueBytes: number
  /** Of one commit. */
  readonly groupEntries: number
  readonly groupBytes: number
}

/** One append, from call to answer. One object carries it all the way: there is one for every token. */
export class Append {
  readonly session: string
  readonly subject: string
  readonly event: Event
  readonly json: string
  readonly expect: Seq
  readonly rollup: boolean
  readonly listener: AppendListener
  /** Where it stands in the overlay, and what it became, or lost to: set by the commit that decides it. */
  tail: Tail | undefined
  lane: Lane | undefined
  entry: Entry | undefined
  last: Seq

  constructor(session: string, subject: string, event: Event, expect: Seq, rollup: boolean, listener: AppendListener) {
    this.session = session
    this.subject = subject
    this.event = event
    this.json = JSON.stringify(event)
    this.expect = expect
    this.rollup = rollup
    this.listener = listener
    this.tail = undefined
    this.lane = undefined
    this.entry = undefined
    this.last = 0
  }
}

/** An append that a commit has decided: its place is known. */
type Decided = Append & { readonly tail: Tail; readonly lane: Lane }

/** One that won: its entry is made. */
export type Winner = Decided & { readonly entry: Entry }

/** What one commit decides. The winners' sequence numbers are consecutive, their time is the same. */
export interface Commit {
  readonly time: number
  readonly winners: readonly Winner[]
  readonly losers: readonly Decided[]
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
    const losers: Decided[] = []
    let bytes = 0
    let taken = 0
    for (const append of this.#waiting) {
      const { session, subject, json, rollup } = append
      if (taken === this.#limits.groupEntries || (taken > 0 && bytes + json.length > this.#limits.groupBytes)) break
      taken++
      bytes += json.length
      const tail = overlay.tailOf(session)
      const lane = overlay.laneOf(tail, subject, settledLast)
      const prev = lane.pending || lane.last
      append.tail = tail
      append.lane = lane
      if (append.expect !== prev) {
        append.last = prev
        losers.push(append as Decided)
        continue
      }
      const seq = last + winners.length + 1
      lane.pending = seq
      append.entry = new Entry({ seq, prev, subject, time, rollup, json }, append.event)
      winners.push(append as Winner)
    }
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken)
    this.#bytes -= bytes
    return { time, winners, losers }
  }
}

/** The commit is on disk and its winners are shown: everybody is told. @param failed told of a listener that threw */
export function answer({ winners, losers }: Commit, overlay: Overlay, failed: (error: unknown) => void): void {
  for (const { tail, lane } of losers) overlay.loosen(tail, lane)
  for (const { listener, entry } of winners) {
    try {
      listener.appended(entry)
    } catch (error) {
      failed(error)
    }
  }
  for (const { listener, last } of losers) refuse(listener, new Conflict(last), failed)
}

/** Nothing of the commit is on disk. A loser may have lost to a winner that is none now: it is told the same. */
export function withdraw(
  { winners, losers }: Commit,
  overlay: Overlay,
  error: StorageError,
  failed: (error: unknown) => void,
): void {
  for (const { tail, lane } of winners) {
    lane.pending = 0
    overlay.loosen(tail, lane)
  }
  for (const { tail, lane } of losers) overlay.loosen(tail, lane)
  for (const { listener } of winners) refuse(listener, error, failed)
  for (const { listener } of losers) refuse(listener, error, failed)
}

function refuse(listener: AppendListener, reason: Error, failed: (error: unknown) => void): void {
  try {
    listener.refused(reason)
  } catch (error) {
    failed(error)
  }
}
