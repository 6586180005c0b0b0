// Overlay: the entries that are durable in the journal and not settled yet, by session and subject. It holds a
// session only while that session has such entries (or an append under way): a session at rest costs nothing here.
// A roll-up empties the earlier entries of its subject in place; most small outputs end their life that way.
import type { Entry, Seq } from './entry.ts'

/** A place in a session's tail; without its entry when a roll-up replaced it. */
export interface Held {
  readonly seq: Seq
  entry: Entry | undefined
}

/** One subject of a session. */
export interface Lane {
  readonly subject: string
  /** The last durable entry on the subject. */
  last: Seq
  /** The entry of the commit that is under way; 0 when there is none. */
  pending: Seq
  /** The newest roll-up in the overlay: settled entries before it are not to be seen. */
  rollup: Seq
  held: Held[]
}

export interface Tail {
  readonly session: string
  /** In order of `seq`. */
  held: Held[]
  dead: number
  readonly lanes: Map<string, Lane>
}

const COMPACT_ABOVE = 32

export class Overlay {
  readonly #tails = new Map<string, Tail>()
  /** Of JSON, of the entries that are held. */
  bytes = 0

  tail(session: string): Tail | undefined {
    return this.#tails.get(session)
  }

  tails(): IterableIterator<Tail> {
    return this.#tails.values()
  }

  /** @param last finds the last settled sequence number of a subject that is not in the overlay */
  lane(session: string, subject: string, last: (session: string, subject: string) => Seq): [Tail, Lane] {
    let tail = this.#tails.get(session)
    if (tail === undefined) {
      tail = { session, held: [], dead: 0, lanes: new Map() }
      this.#tails.set(session, tail)
    }
    let lane = tail.lanes.get(subject)
    if (lane === undefined) {
      lane = {
        subject,
        last: last(session, subject),
        pending: 0,
        rollup: 0,
        held: [],
      }
      tail.lanes.set(subject, lane)
    }
    return [tail, lane]
  }

  /** Shows a durable entry, the newest of its session. */
  add(tail: Tail, lane: Lane, entry: Entry): void {
    const held: Held = { seq: entry.seq, entry }
    if (entry.rollup) {
      for (const earlier of lane.held) {
        this.bytes -= (earlier.entry as Entry).json.length
        earlier.entry = undefined
      }
      tail.dead += lane.held.length
      lane.held = [held]
      lane.rollup = entry.seq
    } else lane.held.push(held)
    lane.last = entry.seq
    tail.held.push(held)
    this.bytes += entry.json.length
    if (tail.dead > COMPACT_ABOVE && tail.dead * 2 > tail.held.length) {
      tail.held = tail.held.filter((place) => place.entry !== undefined)
      tail.dead = 0
    }
  }

  /** Forgets what was settled: everything of the session up to `to`. */
  settled(tail: Tail, to: Seq): void {
    for (const place of tail.held) {
      if (place.seq > to) break
      if (place.entry === undefined) tail.dead--
      else this.bytes -= place.entry.json.length
    }
    tail.held = after(tail.held, to)
    for (const lane of tail.lanes.values()) {
      const first = lane.held[0]
      if (first !== undefined && first.seq <= to) lane.held = after(lane.held, to)
      // The table has lost what this roll-up replaced.
      if (lane.rollup <= to) lane.rollup = 0
      this.loosen(tail, lane)
    }
  }

  /** Forgets a subject that holds nothing, and then its session. */
  loosen(tail: Tail, lane: Lane): void {
    if (lane.held.length > 0 || lane.pending !== 0) return
    tail.lanes.delete(lane.subject)
    if (tail.lanes.size === 0) this.#tails.delete(tail.session)
  }
}

/** The places after `seq`, by bisection. */
export function after(held: Held[], seq: Seq): Held[] {
  let low = 0
  let high = held.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((held[middle] as Held).seq > seq) high = middle
    else low = middle + 1
  }
  return low === 0 ? held.slice() : held.slice(low)
}
