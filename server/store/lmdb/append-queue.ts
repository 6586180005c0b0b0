// AppendQueue: the appends that wait for a commit, up to a limit, and the compare that decides them. `form` takes as
// many as one commit may hold and decides them in order: it compares each append with the durable entries and the
// winners before it.
import { type Event, stringifyJson } from '@parley/protocol'
import type { SessionFollowers } from '../followers.ts'
import { Entry, type Seq } from '../ports/entry.ts'
import { Conflict, type StorageError } from '../ports/errors.ts'
import type { AppendListener } from '../ports/session-log.ts'
import type { Memtable, SubjectHead, Tail } from './memtable.ts'
import { linePrefix } from './record.ts'

export interface AppendLimits {
  /** Appends that may wait for a commit; the queue refuses more. */
  readonly queueEntries: number
  /** The length of their JSON together. */
  readonly queueBytes: number
  /** Appends in one commit. */
  readonly groupEntries: number
  /** The length of their JSON together; one larger append is a commit of its own. */
  readonly groupBytes: number
}

/**
 * The session and subject of appends, with the results of the last lookups in the memtable and among the followers. A
 * `LogWriter` keeps one, so that an append per token needs no lookup in three maps.
 */
export class AppendTarget {
  readonly session: string
  readonly subject: string
  /** The prefix of the target's lines in the journal. */
  readonly linePrefix: string
  tail: Tail | undefined
  head: SubjectHead | undefined
  followers: SessionFollowers | undefined

  constructor(session: string, subject: string) {
    this.session = session
    this.subject = subject
    this.linePrefix = linePrefix(session, subject, false)
    this.tail = undefined
    this.head = undefined
    this.followers = undefined
  }

  resolve(memtable: Memtable, lookUpLast: LookUpLast): SubjectHead {
    // If the memtable holds the head, it also holds its tail.
    if (this.head === undefined || this.head.gone) {
      this.tail = memtable.tailOf(this.session)
      this.head = memtable.headOf(this.tail, this.subject, lookUpLast)
    }
    return this.head
  }
}

interface ResolvedTarget extends AppendTarget {
  tail: Tail
  head: SubjectHead
}

/** One append, from the call to its outcome. There is one per token, so a single object carries everything. */
export class Append {
  readonly target: AppendTarget
  readonly event: Event
  readonly json: string
  readonly expect: Seq
  readonly rollup: boolean
  readonly listener: AppendListener
  /** Set by the commit if the append wins. */
  entry: Entry | undefined
  /** Set by the commit if the append loses: the subject's last sequence number. */
  last: Seq

  constructor(target: AppendTarget, event: Event, expect: Seq, rollup: boolean, listener: AppendListener) {
    this.target = target
    this.event = event
    this.json = stringifyJson(event)
    this.expect = expect
    this.rollup = rollup
    this.listener = listener
    this.entry = undefined
    this.last = 0
  }
}

type DecidedAppend = Append & { readonly target: ResolvedTarget }

export type Winner = DecidedAppend & { readonly entry: Entry }

/** The decisions of one commit. The winners have consecutive sequence numbers and the same time. */
export interface Commit {
  readonly time: number
  readonly winners: readonly Winner[]
  readonly losers: readonly DecidedAppend[]
}

/** Returns the last sequence number of a subject in the tables. */
export type LookUpLast = (session: string, subject: string) => Seq

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

  /** @returns false if the queue is full */
  push(append: Append): boolean {
    const { queueEntries, queueBytes } = this.#limits
    const bytes = this.#bytes + append.json.length
    if (this.#waiting.length >= queueEntries || (this.#waiting.length > 0 && bytes > queueBytes)) return false
    this.#bytes = bytes
    this.#waiting.push(append)
    return true
  }

  /** @param last the store's last sequence number */
  form(memtable: Memtable, last: Seq, time: number, lookUpLast: LookUpLast): Commit {
    const winners: Winner[] = []
    const losers: DecidedAppend[] = []
    let bytes = 0
    let taken = 0
    for (const append of this.#waiting) {
      const { target, json, rollup } = append
      if (taken === this.#limits.groupEntries || (taken > 0 && bytes + json.length > this.#limits.groupBytes)) break
      taken++
      bytes += json.length
      const head = target.resolve(memtable, lookUpLast)
      const prev = head.pending || head.last
      if (append.expect !== prev) {
        append.last = prev
        losers.push(append as DecidedAppend)
        continue
      }
      const seq = last + winners.length + 1
      head.pending = seq
      append.entry = new Entry({ seq, prev, subject: target.subject, time, rollup, json }, append.event)
      winners.push(append as Winner)
    }
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken)
    this.#bytes -= bytes
    return { time, winners, losers }
  }
}

/**
 * Reports the outcome to all listeners. The commit is on disk, and readers see its winners.
 * @param onThrow called with the error of a listener that threw
 */
export function reportCommitted(
  { winners, losers }: Commit,
  memtable: Memtable,
  onThrow: (error: unknown) => void,
): void {
  for (const { target } of losers) memtable.evictIfEmpty(target.tail, target.head)
  for (const { listener, entry } of winners) {
    try {
      listener.appended(entry)
    } catch (error) {
      onThrow(error)
    }
  }
  for (const { listener, last } of losers) refuse(listener, new Conflict(last), onThrow)
}

/**
 * Reports the failure to all listeners. Nothing of the commit is on disk. Losers get the same error instead of a
 * Conflict, because the append that beat them may be a winner that was not stored.
 */
export function reportFailed(
  { winners, losers }: Commit,
  memtable: Memtable,
  error: StorageError,
  onThrow: (error: unknown) => void,
): void {
  for (const { target } of winners) {
    target.head.pending = 0
    memtable.evictIfEmpty(target.tail, target.head)
  }
  for (const { target } of losers) memtable.evictIfEmpty(target.tail, target.head)
  for (const { listener } of winners) refuse(listener, error, onThrow)
  for (const { listener } of losers) refuse(listener, error, onThrow)
}

function refuse(listener: AppendListener, reason: Error, onThrow: (error: unknown) => void): void {
  try {
    listener.refused(reason)
  } catch (error) {
    onThrow(error)
  }
}
