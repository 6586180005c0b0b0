// Memtable: the entries that are durable in the journal and not settled yet, by session and subject. It holds a
// session only while that session has such entries (or an append under way): a session at rest costs nothing here.
// A roll-up makes the earlier entries of its subject dead; most small outputs end their life that way.
import type { Entry, Seq } from '../ports/entry.ts'

/** One subject of a session. */
export interface Lane {
  readonly subject: string
  /** The last durable entry on the subject. */
  last: Seq
  /** The entry of the commit that is under way; 0 when there is none. */
  pending: Seq
  /** The newest roll-up in the overlay: entries of the subject before it are dead, here and in the chunks. */
  rollup: Seq
  /** Living entries in the overlay. */
  count: number
  /** The overlay has forgotten it: what is appended to the subject next goes to another one. */
  gone: boolean
}

export interface Tail {
  readonly session: string
  /** In order of `seq`; dead ones are taken out now and then. */
  entries: Entry[]
  dead: number
  readonly lanes: Map<string, Lane>
}

const COMPACT_ABOVE = 32

export class Memtable {
  readonly #tails = new Map<string, Tail>()

  tail(session: string): Tail | undefined {
    return this.#tails.get(session)
  }

  tails(): IterableIterator<Tail> {
    return this.#tails.values()
  }

  /** The session's, made when it is not there. */
  tailOf(session: string): Tail {
    let tail = this.#tails.get(session)
    if (tail === undefined) {
      tail = { session, entries: [], dead: 0, lanes: new Map() }
      this.#tails.set(session, tail)
    }
    return tail
  }

  /** @param last finds the last settled sequence number of a subject that is not in the overlay */
  laneOf(tail: Tail, subject: string, last: (session: string, subject: string) => Seq): Lane {
    let lane = tail.lanes.get(subject)
    if (lane === undefined) {
      lane = { subject, last: last(tail.session, subject), pending: 0, rollup: 0, count: 0, gone: false }
      tail.lanes.set(subject, lane)
    }
    return lane
  }

  /** Shows a durable entry, the newest of its session. */
  add(tail: Tail, lane: Lane, entry: Entry): void {
    if (entry.rollup) {
      tail.dead += lane.count
      lane.count = 0
      lane.rollup = entry.seq
    }
    lane.count++
    lane.last = entry.seq
    tail.entries.push(entry)
    if (tail.dead > COMPACT_ABOVE && tail.dead * 2 > tail.entries.length) {
      tail.entries = tail.entries.filter((other) => lives(tail, other))
      tail.dead = 0
    }
  }

  /** Forgets what was settled: everything of the session up to `to`. */
  settled(tail: Tail, to: Seq): void {
    const left = firstAfter(tail.entries, to)
    for (let i = 0; i < left; i++) {
      const entry = tail.entries[i] as Entry
      if (lives(tail, entry)) (tail.lanes.get(entry.subject) as Lane).count--
      else tail.dead--
    }
    tail.entries = tail.entries.slice(left)
    for (const lane of tail.lanes.values()) {
      // The chunks have lost what this roll-up replaced.
      if (lane.rollup <= to) lane.rollup = 0
      this.loosen(tail, lane)
    }
  }

  /** Forgets everything of the session up to `to`, and what was last on its subjects: the tables know what stays. */
  purged(tail: Tail, to: Seq): void {
    tail.entries = tail.entries.slice(firstAfter(tail.entries, to))
    tail.dead = 0
    for (const lane of tail.lanes.values()) {
      lane.count = 0
      if (lane.rollup <= to) lane.rollup = 0
      if (lane.last <= to) lane.last = 0
    }
    for (const entry of tail.entries) {
      if (lives(tail, entry)) (tail.lanes.get(entry.subject) as Lane).count++
      else tail.dead++
    }
    for (const lane of tail.lanes.values()) this.loosen(tail, lane)
  }

  /** Forgets a subject that holds nothing, and then its session. */
  loosen(tail: Tail, lane: Lane): void {
    if (lane.count > 0 || lane.pending !== 0) return
    lane.gone = true
    tail.lanes.delete(lane.subject)
    if (tail.lanes.size === 0) this.#tails.delete(tail.session)
  }
}

/** No roll-up in the overlay replaced it. */
export function lives(tail: Tail | undefined, entry: Entry): boolean {
  return entry.seq >= (tail?.lanes.get(entry.subject)?.rollup ?? 0)
}

/** The index of the first entry after `seq`, by bisection. */
export function firstAfter(entries: readonly Entry[], seq: Seq): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle] as Entry).seq > seq) high = middle
    else low = middle + 1
  }
  return low
}
