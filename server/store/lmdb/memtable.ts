// Memtable: the entries that are durable in the journal and not in a checkpoint yet, by session and subject. It holds a
// session only while that session has such entries (or an append in flight), so an idle session needs no memory here. A
// rollup makes the earlier entries of its subject dead; most small outputs never reach a chunk for this reason.
import type { Entry, Seq } from '../ports/entry.ts'

/** The end of one subject. */
export interface SubjectHead {
  readonly subject: string
  /** The last durable entry on the subject. */
  last: Seq
  /** The subject's newest entry in the commit that is in flight; 0: none. */
  pending: Seq
  /** The newest rollup in the memtable: the subject's entries before it are dead, here and in the chunks. */
  rollup: Seq
  /** Live entries in the memtable. */
  count: number
  /** The memtable has evicted this object; the next append to the subject creates another one. */
  gone: boolean
}

/** The end of one session's log: the part that the memtable holds. */
export interface Tail {
  readonly session: string
  /** In order of `seq`. Dead entries are removed from time to time. */
  entries: Entry[]
  dead: number
  readonly heads: Map<string, SubjectHead>
}

/** Fewer dead entries than this are not worth a copy of the list. */
const MIN_DEAD = 32

export class Memtable {
  readonly #tails = new Map<string, Tail>()

  tail(session: string): Tail | undefined {
    return this.#tails.get(session)
  }

  tails(): IterableIterator<Tail> {
    return this.#tails.values()
  }

  /** The session's tail; creates it if it is missing. */
  tailOf(session: string): Tail {
    let tail = this.#tails.get(session)
    if (tail === undefined) {
      tail = { session, entries: [], dead: 0, heads: new Map() }
      this.#tails.set(session, tail)
    }
    return tail
  }

  /**
   * The subject's head; creates it if it is missing.
   * @param lookUpLast returns the last sequence number of a subject in the tables
   */
  headOf(tail: Tail, subject: string, lookUpLast: (session: string, subject: string) => Seq): SubjectHead {
    let head = tail.heads.get(subject)
    if (head === undefined) {
      head = { subject, last: lookUpLast(tail.session, subject), pending: 0, rollup: 0, count: 0, gone: false }
      tail.heads.set(subject, head)
    }
    return head
  }

  /** Adds a durable entry, the newest of its session: readers now see it. */
  add(tail: Tail, head: SubjectHead, entry: Entry): void {
    if (entry.rollup) {
      tail.dead += head.count
      head.count = 0
      head.rollup = entry.seq
    }
    head.count++
    head.last = entry.seq
    tail.entries.push(entry)
    if (tail.dead > MIN_DEAD && tail.dead * 2 > tail.entries.length) {
      tail.entries = tail.entries.filter((other) => isLive(tail, other))
      tail.dead = 0
    }
  }

  /** Removes the session's entries up to `to`: they are in chunks now. */
  removeCheckpointed(tail: Tail, to: Seq): void {
    const removed = firstAfter(tail.entries, to)
    for (let i = 0; i < removed; i++) {
      const entry = tail.entries[i] as Entry
      if (isLive(tail, entry)) (tail.heads.get(entry.subject) as SubjectHead).count--
      else tail.dead--
    }
    tail.entries = tail.entries.slice(removed)
    for (const head of tail.heads.values()) {
      // The checkpoint has removed from the chunks what this rollup replaced.
      if (head.rollup <= to) head.rollup = 0
      this.evictIfEmpty(tail, head)
    }
  }

  /**
   * Removes the session's entries up to `to`, and the last numbers of their subjects: the tables know which ones
   * remain.
   */
  removePurged(tail: Tail, to: Seq): void {
    tail.entries = tail.entries.slice(firstAfter(tail.entries, to))
    tail.dead = 0
    for (const head of tail.heads.values()) {
      head.count = 0
      if (head.rollup <= to) head.rollup = 0
      if (head.last <= to) head.last = 0
    }
    for (const entry of tail.entries) {
      if (isLive(tail, entry)) (tail.heads.get(entry.subject) as SubjectHead).count++
      else tail.dead++
    }
    for (const head of tail.heads.values()) this.evictIfEmpty(tail, head)
  }

  /** Evicts a subject without live or pending entries, and then a session without subjects. */
  evictIfEmpty(tail: Tail, head: SubjectHead): void {
    if (head.count > 0 || head.pending !== 0) return
    head.gone = true
    tail.heads.delete(head.subject)
    if (tail.heads.size === 0) this.#tails.delete(tail.session)
  }
}

/** Whether no rollup in the memtable has replaced the entry. */
export function isLive(tail: Tail | undefined, entry: Entry): boolean {
  return entry.seq >= (tail?.heads.get(entry.subject)?.rollup ?? 0)
}

/** The index of the first entry after `seq`, by binary search. */
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
