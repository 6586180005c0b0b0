// LmdbLog: the session log in one LMDB environment. Appends queue up; one commit at a time takes all that wait, compares
// them in order, and writes the winners as one journal record. Only when that is on disk do memory, followers and
// callers see it, in that order: durable before visible. Background steps (settling, sweeping) ride along in the commits.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Cursor, type Event, formatCursor, parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import { Entry, type Seq } from './entry.ts'
import { Chores } from './lmdb-chores.ts'
import type { LmdbEnvironment } from './lmdb-environment.ts'
import { firstAfter, type Lane, lives, Overlay, type Tail } from './lmdb-overlay.ts'
import { Pace } from './lmdb-pace.ts'
import { decodeChunk, decodeGroup, encodeGroup, type Placed } from './lmdb-record.ts'
import { type LogState, type Step, settle } from './lmdb-settle.ts'
import { sweep } from './lmdb-sweep.ts'
import { LAST, lastChunk, type Tables } from './lmdb-tables.ts'
import { Conflict, CursorLost, StorageError } from './log-error.ts'
import type {
  AppendOptions,
  Follower,
  ReadLimits,
  Retention,
  SessionLog,
  Subject,
  Subscription,
} from './session-log.ts'

export interface LmdbLogOptions {
  readonly environment: LmdbEnvironment
  readonly tables: Tables
  readonly epoch: string
  /** How far the session's transcript goes, in this epoch; 0 when it has none. */
  readonly covered: (session: string) => Seq
  readonly retention: Retention
  /** Unix milliseconds; the clock of entries' times and of retention. */
  readonly now: () => number
  readonly logger: Logger
  readonly limits?: Partial<LmdbLogLimits>
}

export interface LmdbLogLimits {
  /** Appends that may wait for a commit, and their JSON's bytes; more are refused. */
  readonly queueEntries: number
  readonly queueBytes: number
  /** Of one commit. */
  readonly groupEntries: number
  readonly groupBytes: number
  /** The journal is settled, by halves, when it is larger or its oldest commit is older. */
  readonly journalBytes: number
  readonly journalAgeMs: number
  readonly sweepIntervalMs: number
}

const DEFAULT_LIMITS: LmdbLogLimits = {
  queueEntries: 200_000,
  queueBytes: 128 * 1024 * 1024,
  groupEntries: 2048,
  groupBytes: 4 * 1024 * 1024,
  journalBytes: 32 * 1024 * 1024,
  journalAgeMs: 30_000,
  sweepIntervalMs: 60_000,
}

const BATCH_ENTRIES = 512
const BATCH_BYTES = 256 * 1024
const HOUSEKEEPING_MS = 1000
const NAME = /^[\x21-\x7e]{1,256}$/

interface Waiting {
  readonly session: string
  readonly subject: Subject
  readonly event: Event
  readonly json: string
  readonly expect: Seq
  readonly rollup: boolean
  resolve(entry: Entry): void
  reject(error: Error): void
}

interface Winner extends Placed {
  readonly waiting: Waiting
  readonly tail: Tail
  readonly lane: Lane
}

interface Commit {
  readonly time: number
  readonly winners: readonly Winner[]
  readonly losers: readonly {
    readonly waiting: Waiting
    readonly last: Seq
    readonly tail: Tail
    readonly lane: Lane
  }[]
}

/** The followers of a session that are live. */
interface Room {
  followers: readonly Live[]
  batch: Entry[]
}

interface Live {
  readonly follower: Follower
  closed: boolean
}

export class LmdbLog implements SessionLog {
  readonly epoch: string
  readonly #options: LmdbLogOptions
  readonly #limits: LmdbLogLimits
  readonly #tables: Tables
  readonly #state: LogState
  readonly #rooms = new Map<string, Room>()
  readonly #chores = new Chores()
  readonly #pace = new Pace()
  readonly #timers: NodeJS.Timeout[] = []
  #queue: Waiting[] = []
  #queueBytes = 0
  #loop: Promise<void> | undefined
  #settling = false
  #settleAfter = 0
  #sweeping: Promise<void> | undefined
  #closed = false

  /** Reads the journal: what was acknowledged before a crash is there again. */
  constructor(options: LmdbLogOptions) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#tables = options.tables
    this.epoch = options.epoch
    this.#state = {
      tables: options.tables,
      overlay: new Overlay(),
      groups: [],
      last: Number(options.tables.meta.get('seq') ?? 0),
      journalBytes: 0,
      chunkBytes: Number(options.tables.meta.get('bytes') ?? 0),
    }
    this.#load()
    this.#timers.push(
      setInterval(() => this.#settleWhenDue(), HOUSEKEEPING_MS).unref(),
      setInterval(() => this.#sweepInBackground(), this.#limits.sweepIntervalMs).unref(),
    )
  }

  append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry> {
    return new Promise((resolve, reject) => {
      if (!NAME.test(session) || !NAME.test(subject)) throw new RangeError('a session or subject has no valid name')
      const json = JSON.stringify(event)
      if (
        this.#closed ||
        this.#queue.length >= this.#limits.queueEntries ||
        (this.#queue.length > 0 && this.#queueBytes + json.length > this.#limits.queueBytes)
      ) {
        throw new StorageError('unavailable')
      }
      this.#queueBytes += json.length
      this.#queue.push({
        session,
        subject,
        event,
        json,
        expect,
        rollup: options?.rollup ?? false,
        resolve,
        reject,
      })
      this.#wake()
    })
  }

  async *read(session: string, cursor: Cursor, limits: ReadLimits = {}): AsyncGenerator<readonly Entry[]> {
    const until = this.#state.last
    let at = this.#position(session, cursor)
    for (;;) {
      const { entries, end } = this.#batch(session, at, limits)
      const last = entries.at(-1)
      if (last === undefined) return
      yield entries
      at = last.seq
      if (end || at >= until) return
      await nextTurn()
      this.#checkTrimmed(session, at)
    }
  }

  async follow(session: string, cursor: Cursor, follower: Follower): Promise<Subscription> {
    let at = this.#position(session, cursor)
    const live: Live = { follower, closed: false }
    for (;;) {
      const { entries, end } = this.#batch(session, at, {})
      const last = entries.at(-1)
      if (last !== undefined) {
        at = last.seq
        this.#deliver(live, entries)
      }
      // No turn lies between the last batch's reading and going live, and commits show in turns of their own: no gap.
      if (end) return this.#enter(session, live)
      await nextTurn()
      this.#checkTrimmed(session, at)
    }
  }

  async head(session: string): Promise<Cursor> {
    const newest = this.#state.overlay.tail(session)?.entries.at(-1)?.seq
    const seq = newest ?? Math.max(lastChunk(this.#tables, session), this.#trimmed(session))
    return formatCursor(this.epoch, seq)
  }

  async last(session: string, subject: Subject): Promise<Seq> {
    return this.#state.overlay.tail(session)?.lanes.get(subject)?.last ?? this.#settledLast(session, subject)
  }

  sweep(): Promise<void> {
    if (this.#closed) return Promise.reject(new StorageError('unavailable'))
    const { retention, now, covered, logger } = this.#options
    const stuck = (bytes: number) =>
      logger.warn({ bytes, maxBytes: retention.maxBytes }, 'the log is over its bound, and no transcript covers more')
    const done = this.#chores.add(() => sweep(this.#state, { retention, now: now(), covered, stuck }))
    this.#wake()
    return done
  }

  /** Settles the whole journal now. It also happens by itself. */
  settle(): Promise<void> {
    if (this.#closed) return Promise.reject(new StorageError('unavailable'))
    const done = this.#chores.add(() => settle(this.#state, this.#state.last))
    this.#wake()
    return done
  }

  /** Commits what waits, then takes no more. */
  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    this.#pace.hurry()
    this.#chores.cancel(new StorageError('unavailable'))
    await this.#loop
    this.#rooms.clear()
  }

  #load(): void {
    const { overlay, groups } = this.#state
    const settledTo = new Map<string, Seq>()
    const at = performance.now()
    for (const { key: first, value } of this.#tables.journal.range(undefined, undefined)) {
      const placed = decodeGroup(first, value)
      for (const { session, entry } of placed) {
        let settled = settledTo.get(session)
        if (settled === undefined) {
          settled = Math.max(lastChunk(this.#tables, session), this.#trimmed(session))
          settledTo.set(session, settled)
        }
        if (entry.seq <= settled) continue
        overlay.add(...overlay.lane(session, entry.subject, this.#settledLast), entry)
      }
      const last = first + placed.length - 1
      groups.push({ first, last, bytes: value.length, at })
      this.#state.journalBytes += value.length
      this.#state.last = Math.max(this.#state.last, last)
    }
  }

  #wake(): void {
    if (this.#loop !== undefined) return
    // Appends of the same stretch of work join the first.
    this.#loop = Promise.resolve().then(() => this.#run())
  }

  async #run(): Promise<void> {
    for (;;) {
      if (this.#queue.length > 0) await this.#pace.wait(this.#queue.length)
      const commit = this.#queue.length > 0 ? this.#form() : undefined
      if (commit !== undefined) this.#pace.start(commit.winners.length)
      const step = this.#chores.next()
      if (commit === undefined && step === undefined) break
      await this.#commit(commit, step)
    }
    this.#loop = undefined
  }

  #form(): Commit {
    const now = this.#options.now()
    const winners: Winner[] = []
    const losers: Commit['losers'][number][] = []
    let next = this.#state.last
    let bytes = 0
    let taken = 0
    for (const waiting of this.#queue) {
      if (taken === this.#limits.groupEntries || (taken > 0 && bytes + waiting.json.length > this.#limits.groupBytes))
        break
      taken++
      bytes += waiting.json.length
      const { session, subject, json, rollup } = waiting
      const [tail, lane] = this.#state.overlay.lane(session, subject, this.#settledLast)
      const prev = lane.pending || lane.last
      if (waiting.expect !== prev) {
        losers.push({ waiting, last: prev, tail, lane })
        continue
      }
      const seq = ++next
      lane.pending = seq
      const entry = new Entry({ seq, prev, subject, time: now, rollup, json }, waiting.event)
      winners.push({ session, entry, waiting, tail, lane })
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken)
    this.#queueBytes -= bytes
    return { time: now, winners, losers }
  }

  async #commit(commit: Commit | undefined, step: Step | undefined): Promise<void> {
    const first = commit?.winners[0]?.entry.seq
    const bytes = first === undefined ? undefined : encodeGroup((commit as Commit).time, (commit as Commit).winners)
    try {
      await this.#options.environment.write(() => {
        if (first !== undefined) this.#tables.journal.put(first, bytes as Buffer)
        step?.write()
      })
    } catch (error) {
      this.#fail(commit, error as StorageError)
      if (step !== undefined) this.#chores.fail(error as StorageError)
      return
    }
    this.#options.environment.refresh()
    step?.done()
    if (commit === undefined) return
    if (first !== undefined) this.#show(commit, first, (bytes as Buffer).length)
    this.#answer(commit)
    this.#settleWhenDue()
  }

  // The failed commit's sequence numbers are used again, and so is its journal key: should the disk hold
  // some of it after all, the next commit overwrites it.
  #fail(commit: Commit | undefined, error: StorageError): void {
    if (commit === undefined) return
    this.#options.logger.error(
      {
        reason: error.reason,
        err: error.cause,
        appends: commit.winners.length,
      },
      'a commit failed',
    )
    for (const { tail, lane } of commit.winners) {
      lane.pending = 0
      this.#state.overlay.loosen(tail, lane)
    }
    for (const { tail, lane } of commit.losers) this.#state.overlay.loosen(tail, lane)
    for (const { waiting } of commit.winners) waiting.reject(error)
    for (const { waiting } of commit.losers) waiting.reject(error)
  }

  #show({ winners }: Commit, first: Seq, bytes: number): void {
    const rooms: Room[] = []
    for (const { session, entry, tail, lane } of winners) {
      lane.pending = 0
      this.#state.overlay.add(tail, lane, entry)
      const room = this.#rooms.get(session)
      if (room === undefined) continue
      if (room.batch.length === 0) rooms.push(room)
      room.batch.push(entry)
    }
    this.#state.last = first + winners.length - 1
    this.#state.groups.push({
      first,
      last: this.#state.last,
      bytes,
      at: performance.now(),
    })
    this.#state.journalBytes += bytes
    for (const room of rooms) {
      const { batch } = room
      room.batch = []
      for (const live of room.followers) this.#deliver(live, batch)
    }
  }

  #answer({ winners, losers }: Commit): void {
    for (const { tail, lane } of losers) this.#state.overlay.loosen(tail, lane)
    for (const { waiting, entry } of winners) waiting.resolve(entry)
    for (const { waiting, last } of losers) waiting.reject(new Conflict(last))
  }

  #deliver(live: Live, entries: readonly Entry[]): void {
    if (live.closed) return
    try {
      live.follower.entries(entries)
    } catch (error) {
      this.#options.logger.error({ err: error }, 'a follower threw')
    }
  }

  #enter(session: string, live: Live): Subscription {
    const room = this.#rooms.get(session)
    if (room === undefined) this.#rooms.set(session, { followers: [live], batch: [] })
    else room.followers = [...room.followers, live]
    return {
      close: () => {
        if (live.closed) return
        live.closed = true
        const left = this.#rooms.get(session)
        if (left === undefined) return
        left.followers = left.followers.filter((other) => other !== live)
        if (left.followers.length === 0) this.#rooms.delete(session)
      },
    }
  }

  /** The next living entries after `at`: settled ones first, then those of the overlay. */
  #batch(session: string, at: Seq, limits: ReadLimits): { entries: Entry[]; end: boolean } {
    const maxEntries = limits.batchEntries ?? BATCH_ENTRIES
    const maxBytes = limits.batchBytes ?? BATCH_BYTES
    const tail = this.#state.overlay.tail(session)
    const entries: Entry[] = []
    let bytes = 0
    let settled = at
    const take = (entry: Entry): boolean => {
      if (entries.length > 0 && (entries.length >= maxEntries || bytes + entry.json.length > maxBytes)) return false
      entries.push(entry)
      bytes += entry.json.length
      return true
    }
    for (const { key, value } of this.#tables.chunks.range([session, at + 1], [session, LAST])) {
      settled = key[1]
      for (const entry of decodeChunk(value)) {
        if (entry.seq > at && lives(tail, entry) && !take(entry)) return { entries, end: false }
      }
    }
    if (tail !== undefined) {
      for (let i = firstAfter(tail.entries, settled); i < tail.entries.length; i++) {
        const entry = tail.entries[i] as Entry
        if (lives(tail, entry) && !take(entry)) return { entries, end: false }
      }
    }
    return { entries, end: true }
  }

  #position(session: string, cursor: Cursor): Seq {
    const position = parseCursor(cursor)
    if (position === undefined || position.epoch !== this.epoch) throw new CursorLost('foreign')
    if (position.seq > this.#state.last) throw new CursorLost('beyond')
    this.#checkTrimmed(session, position.seq)
    return position.seq
  }

  #checkTrimmed(session: string, at: Seq): void {
    if (at < this.#trimmed(session)) throw new CursorLost('trimmed')
  }

  #trimmed(session: string): Seq {
    return this.#tables.trimmed.get(session) ?? 0
  }

  readonly #settledLast = (session: string, subject: Subject): Seq => this.#tables.subjects.get([session, subject]) ?? 0

  #settleWhenDue(): void {
    const { groups, journalBytes } = this.#state
    const oldest = groups[0]
    if (oldest === undefined || this.#settling || this.#closed) return
    const now = performance.now()
    if (now < this.#settleAfter) return
    if (journalBytes <= this.#limits.journalBytes && now - oldest.at <= this.#limits.journalAgeMs) return
    this.#settling = true
    const finish = (pause: number) => () => {
      this.#settling = false
      this.#settleAfter = performance.now() + pause
    }
    this.#chores.add(() => settle(this.#state, this.#halfway(now))).then(finish(0), finish(5 * HOUSEKEEPING_MS))
    this.#wake()
  }

  #halfway(now: number): Seq {
    let bytes = 0
    let cut = 0
    for (const group of this.#state.groups) {
      if (bytes > this.#state.journalBytes / 2 && now - group.at < this.#limits.journalAgeMs / 2) break
      bytes += group.bytes
      cut = group.last
    }
    return cut
  }

  #sweepInBackground(): void {
    if (this.#sweeping !== undefined || this.#closed) return
    this.#sweeping = this.sweep()
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'a sweep was given up; the next one tries again')
      })
      .finally(() => {
        this.#sweeping = undefined
      })
  }
}
