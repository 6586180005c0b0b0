// AppendQueue: appends that wait for a commit, within bounds, and the compare that decides them. `form` takes what
// one commit may hold and compares in order, each append against what is durable and the winners before it.
import type { Event } from '@parley/protocol'
import type { Room } from '../followers.ts'
import { Entry, type Seq } from '../ports/entry.ts'
import { Conflict, type StorageError } from '../ports/errors.ts'
import type { AppendListener } from '../ports/session-log.ts'
import type { Lane, Memtable, Tail } from './memtable.ts'
import { lineHead } from './record.ts'

export interface AppendLimits {
  /** Appends that may wait for a commit, and their JSON's length together; more are refused. */
  readonly queueEntries: number
  readonly queueBytes: number
  /** Of one commit. */
  readonly groupEntries: number
  readonly groupBytes: number
}

/**
 * A subject of a session, and where it was last found: in the overlay, and among those who are followed. For who appends
 * to it again and again, so that not each token asks three maps.
 */
export class Place {
  readonly session: string
  readonly subject: string
  /** Of its lines in the journal. */
  readonly head: string
  tail: Tail | undefined
  lane: Lane | undefined
  room: Room | undefined

  constructor(session: string, subject: string) {
    this.session = session
    this.subject = subject
    this.head = lineHead(session, subject, false)
    this.tail = undefined
    this.lane = undefined
    this.room = undefined
  }

  find(overlay: Memtable, settledLast: SettledLast): Lane {
    // A lane that is in the overlay has its session there.
    if (this.lane === undefined || this.lane.gone) {
      this.tail = overlay.tailOf(this.session)
      this.lane = overlay.laneOf(this.tail, this.subject, settledLast)
    }
    return this.lane
  }
}

/** A place that a commit has found. */
interface Found extends Place {
  tail: Tail
  lane: Lane
}

/** One append, from call to answer. One object carries it all the way: there is one for every token. */
export class Append {
  readonly place: Place
  readonly event: Event
  readonly json: string
  readonly expect: Seq
  readonly rollup: boolean
  readonly listener: AppendListener
  /** What it became, or lost to: set by the commit that decides it. */
  entry: Entry | undefined
  last: Seq

  constructor(place: Place, event: Event, expect: Seq, rollup: boolean, listener: AppendListener) {
    this.place = place
    this.event = event
    this.json = JSON.stringify(event)
    this.expect = expect
    this.rollup = rollup
    this.listener = listener
    this.entry = undefined
    this.last = 0
  }
}

/** An append that a commit has decided: its place is known. */
type Decided = Append & { readonly place: Found }

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
  form(overlay: Memtable, last: Seq, time: number, settledLast: SettledLast): Commit {
    const winners: Winner[] = []
    const losers: Decided[] = []
    let bytes = 0
    let taken = 0
    for (const append of this.#waiting) {
      const { place, json, rollup } = append
      if (taken === this.#limits.groupEntries || (taken > 0 && bytes + json.length > this.#limits.groupBytes)) break
      taken++
      bytes += json.length
      const lane = place.find(overlay, settledLast)
      const prev = lane.pending || lane.last
      if (append.expect !== prev) {
        append.last = prev
        losers.push(append as Decided)
        continue
      }
      const seq = last + winners.length + 1
      lane.pending = seq
      append.entry = new Entry({ seq, prev, subject: place.subject, time, rollup, json }, append.event)
      winners.push(append as Winner)
    }
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken)
    this.#bytes -= bytes
    return { time, winners, losers }
  }
}

/** The commit is on disk and its winners are shown: everybody is told. @param failed told of a listener that threw */
export function answer({ winners, losers }: Commit, overlay: Memtable, failed: (error: unknown) => void): void {
  for (const { place } of losers) overlay.loosen(place.tail, place.lane)
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
  overlay: Memtable,
  error: StorageError,
  failed: (error: unknown) => void,
): void {
  for (const { place } of winners) {
    place.lane.pending = 0
    overlay.loosen(place.tail, place.lane)
  }
  for (const { place } of losers) overlay.loosen(place.tail, place.lane)
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
