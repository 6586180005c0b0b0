// LmdbLog: the session log in one LMDB environment. Appends queue up; one commit at a time takes all that wait, compares
// them in order, and writes the winners as one journal record. Only when that is on disk do memory, followers and
// callers see it, in that order: durable before visible. Background steps (settling, sweeping) ride along in the commits.
// Measured, 40 entries a commit, 250 commits a second: one put an entry 17-20 µs of CPU an entry and 1.2 ms a commit;
// one put a group 8-9 µs and 0.4-0.7 ms. See server/bench/log-bench.ts.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Cursor, type Event, formatCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import { Followers } from '../followers.ts'
import type { Entry, Seq } from '../ports/entry.ts'
import { StorageError } from '../ports/errors.ts'
import type {
  AppendOptions,
  Follower,
  LogWriter,
  ReadLimits,
  Retention,
  SessionLog,
  Subject,
  Subscription,
} from '../ports/session-log.ts'
import { SingleFlight } from '../single-flight.ts'
import {
  Append,
  type AppendLimits,
  AppendQueue,
  answer,
  type Commit,
  Place,
  type SettledLast,
  withdraw,
} from './append-queue.ts'
import { BackgroundTasks } from './background-tasks.ts'
import { halfway, type Step, settle } from './checkpoint.ts'
import { Pace } from './commit-pacer.ts'
import type { LmdbEnvironment } from './environment.ts'
import type { Journal } from './journal/journal.ts'
import { checkTrimmed, lastOf, locate, readBatch } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import { purgeAll, purgeBut } from './purge.ts'
import { type EncodedGroup, encodeGroup } from './record.ts'
import { sweep } from './sweep.ts'

export interface LmdbLogOptions {
  readonly environment: LmdbEnvironment
  /** What the tables and the journal hold. */
  readonly state: LogState
  readonly journal: Journal
  readonly epoch: string
  /** How far the session's transcript goes, in this epoch; 0 when it has none. */
  readonly covered: (session: string) => Seq
  readonly retention: Retention
  /** Told after a sweep which sessions should be folded, so that the next sweep finds them covered. */
  readonly uncovered?: (sessions: ReadonlySet<string>) => void
  /** Unix milliseconds; the clock of entries' times and of retention. */
  readonly now: () => number
  readonly logger: Logger
  readonly limits?: Partial<LmdbLogLimits>
}

export interface LmdbLogLimits extends AppendLimits {
  /** The journal is settled, by halves, when it is larger or its oldest commit is older. */
  readonly journalBytes: number
  readonly journalAgeMs: number
  readonly sweepIntervalMs: number
}

/** Sessions that one sweep asks to have folded. */
const UNCOVERED_MAX = 1_000

const DEFAULT_LIMITS: LmdbLogLimits = {
  queueEntries: 200_000,
  queueBytes: 128 * 1024 * 1024,
  groupEntries: 2048,
  groupBytes: 4 * 1024 * 1024,
  journalBytes: 64 * 1024 * 1024,
  journalAgeMs: 30_000,
  sweepIntervalMs: 60_000,
}

const HOUSEKEEPING_MS = 1000
/** By how many times the journal is larger than it should be when appends wait for settling, and when they are refused. */
const HELD_TIMES = 2
const STUCK_TIMES = 4
/** Before settling is tried again after it failed. */
const SETTLE_PAUSE_MS = 5000
const NAME = /^[\x21-\x7e]{1,256}$/

export class LmdbLog implements SessionLog {
  readonly epoch: string
  readonly #options: LmdbLogOptions
  readonly #limits: LmdbLogLimits
  readonly #state: LogState
  readonly #queue: AppendQueue
  readonly #rooms: Followers
  readonly #settledLast: SettledLast
  readonly #chores = new BackgroundTasks()
  readonly #pace = new Pace()
  readonly #timers: NodeJS.Timeout[] = []
  /** Takes from the disk what the journal held: of all that was purged by then. */
  readonly #wipe = new SingleFlight(async () => {
    await this.#options.journal.retire()
    await this.settle()
    // Also where it had been settled before.
    this.#dropped((this.#state.groups[0]?.first ?? this.#state.last + 1) - 1)
    await this.#options.journal.discard()
  })
  #loop: Promise<void> | undefined
  #upkeep: Promise<void> | undefined
  #settling: Promise<void> | undefined
  #settleAfter = 0
  #sweeping: Promise<void> | undefined
  #closed = false

  constructor(options: LmdbLogOptions) {
    const { state, epoch, limits, logger } = options
    this.epoch = epoch
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
    this.#queue = new AppendQueue(this.#limits)
    this.#rooms = new Followers(logger)
    this.#settledLast = (session, subject) => state.tables.subjects.get([session, subject]) ?? 0
    this.#state = options.state
    this.#timers.push(
      setInterval(() => this.#settleWhenDue(), HOUSEKEEPING_MS).unref(),
      setInterval(() => this.#sweepInBackground(), this.#limits.sweepIntervalMs).unref(),
    )
  }

  append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry> {
    return new Promise((appended, refused) => {
      const place = placeOf(session, subject)
      this.#enqueue(new Append(place, event, expect, options?.rollup ?? false, { appended, refused }))
    })
  }

  writer(session: string, subject: Subject): LogWriter {
    const place = placeOf(session, subject)
    return {
      submit: (event, expect, listener, options) => {
        try {
          this.#enqueue(new Append(place, event, expect, options?.rollup ?? false, listener))
        } catch (error) {
          queueMicrotask(() => listener.refused(error))
        }
      },
    }
  }

  async *read(session: string, cursor: Cursor, limits?: ReadLimits): AsyncGenerator<readonly Entry[]> {
    const until = this.#state.last
    let at = locate(this.#state, this.epoch, session, cursor)
    for (;;) {
      const { entries, end } = readBatch(this.#state, session, at, limits)
      const last = entries.at(-1)
      if (last === undefined) return
      at = last.seq
      yield entries
      if (end || at >= until) return
      await nextTurn()
      checkTrimmed(this.#state, session, at)
    }
  }

  async follow(session: string, cursor: Cursor, follower: Follower): Promise<Subscription> {
    let at = locate(this.#state, this.epoch, session, cursor)
    for (;;) {
      const { entries, end } = readBatch(this.#state, session, at)
      const last = entries.at(-1)
      if (last !== undefined) {
        at = last.seq
        this.#rooms.hand(follower, entries)
      }
      // Nothing is awaited between reading the last batch and going live: no gap.
      if (end) return this.#rooms.enter(session, follower)
      await nextTurn()
      checkTrimmed(this.#state, session, at)
    }
  }

  async head(session: string): Promise<Cursor> {
    return formatCursor(this.epoch, lastOf(this.#state, session))
  }

  async last(session: string, subject: Subject): Promise<Seq> {
    return this.#state.overlay.tail(session)?.lanes.get(subject)?.last ?? this.#settledLast(session, subject)
  }

  async purge(session: string, keep: Seq | undefined): Promise<void> {
    await this.#chore(() =>
      keep === undefined ? purgeAll(this.#state, session, this.#dropped) : purgeBut(this.#state, session, keep),
    )
    await this.#wipe.run()
  }

  sweep(): Promise<void> {
    const { retention, now, covered, logger } = this.#options
    const stuck = (bytes: number) =>
      logger.warn({ bytes, maxBytes: retention.maxBytes }, 'the log is over its bound, and no transcript covers more')
    const uncovered = new Set<string>()
    const note = (session: string): void => {
      if (uncovered.size < UNCOVERED_MAX) uncovered.add(session)
    }
    return this.#chore(() =>
      sweep(this.#state, { retention, now: now(), covered, stuck, uncovered: note, dropped: this.#dropped }),
    ).then(() => this.#options.uncovered?.(uncovered))
  }

  /** Settles the whole journal now. It also happens by itself. */
  settle(): Promise<void> {
    return this.#chore(() => settle(this.#state, this.#state.last, this.#dropped))
  }

  /** Commits what waits, then takes no more. */
  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    this.#pace.hurry()
    this.#chores.cancel(new StorageError('unavailable'))
    await Promise.all([this.#loop, this.#upkeep])
    await this.#options.journal.close()
    this.#rooms.clear()
  }

  /** @throws StorageError */
  #enqueue(append: Append): void {
    if (this.#closed || !this.#queue.push(append)) throw new StorageError('unavailable')
    this.#wake()
  }

  readonly #dropped = (to: Seq): void => this.#options.journal.drop(to)

  readonly #listenerThrew = (error: unknown): void => {
    this.#options.logger.error({ err: error }, 'a listener of an append threw')
  }

  #wake(): void {
    // Appends of the same stretch of work join the first.
    this.#loop ??= Promise.resolve().then(() => this.#run())
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#pace.wait(this.#queue.length)
      if (this.#state.journalBytes > this.#limits.journalBytes * HELD_TIMES) await this.#settleHalf()
      await this.#commit(this.#form())
      // Who hears of an append may append again at once, and a fast disk lets nothing wait: others get their turn here.
      if (this.#queue.length > 0) await nextTurn()
    }
    this.#loop = undefined
  }

  #form(): Commit {
    this.#pace.start(this.#queue.length)
    return this.#queue.form(this.#state.overlay, this.#state.last, this.#options.now(), this.#settledLast)
  }

  async #commit(commit: Commit): Promise<void> {
    const { time, winners } = commit
    const first = winners[0]?.entry.seq
    if (first !== undefined) {
      try {
        const group = encodeGroup(time, winners)
        this.#checkRoom()
        const written = this.#options.journal.append(first, winners.length, group.text)
        if (written !== undefined) await written
        this.#show(commit, first, group)
      } catch (error) {
        this.#fail(error as StorageError, commit)
        return
      }
    }
    answer(commit, this.#state.overlay, this.#listenerThrew)
    this.#settleWhenDue()
  }

  /** @throws StorageError: the disk is full, or so full that the journal could not be settled for long */
  #checkRoom(): void {
    const isStuck = this.#state.journalBytes > this.#limits.journalBytes * STUCK_TIMES
    if (isStuck || !this.#options.environment.hasRoom()) throw new StorageError('full')
  }

  // The failed commit's sequence numbers are used again, and so is its place in the journal: should the disk hold
  // some of it after all, the next commit overwrites it.
  #fail(error: StorageError, commit: Commit): void {
    const appends = commit.winners.length
    this.#options.logger.error({ reason: error.reason, err: error.cause, appends }, 'a commit failed')
    withdraw(commit, this.#state.overlay, error, this.#listenerThrew)
  }

  #show({ winners }: Commit, first: Seq, { text, starts }: EncodedGroup): void {
    const bytes = text.length
    const { overlay, groups } = this.#state
    for (const { place, entry } of winners) {
      place.lane.pending = 0
      overlay.add(place.tail, place.lane, entry)
      this.#rooms.collect(place, entry)
    }
    const last = first + winners.length - 1
    this.#state.last = last
    this.#state.journalBytes += bytes
    groups.push({ first, last, bytes, at: performance.now() })
    this.#rooms.deliver()
    for (let at = 0; at < winners.length; at += 1) winners[at]?.entry.keepIn(text, starts[at] as number)
  }

  #chore(begin: () => Iterator<Step, void>): Promise<void> {
    if (this.#closed) return Promise.reject(new StorageError('unavailable'))
    const done = this.#chores.add(begin)
    this.#upkeep ??= Promise.resolve().then(() => this.#keepUp())
    return done
  }

  // Beside the commits: a step moves only what is durable already, and takes it in as it finds it when it is on disk.
  async #keepUp(): Promise<void> {
    const { environment, logger } = this.#options
    for (let step = this.#chores.next(); step !== undefined; step = this.#chores.next()) {
      try {
        await environment.write(() => step.write(), true)
      } catch (error) {
        const { reason, cause } = error as StorageError
        logger.error({ reason, err: cause }, 'a step of upkeep failed')
        this.#chores.fail(error as StorageError)
        continue
      }
      environment.refresh()
      step.done()
    }
    this.#upkeep = undefined
  }

  #settleWhenDue(): void {
    const { groups, journalBytes } = this.#state
    const oldest = groups[0]
    if (oldest === undefined || this.#settling !== undefined || this.#closed) return
    const now = performance.now()
    if (now < this.#settleAfter) return
    if (journalBytes <= this.#limits.journalBytes && now - oldest.at <= this.#limits.journalAgeMs) return
    void this.#settleHalf()
  }

  /** Resolves when it is done, or has failed. */
  #settleHalf(): Promise<void> {
    const finish = (pauseMs: number) => (): void => {
      this.#settling = undefined
      this.#settleAfter = performance.now() + pauseMs
    }
    this.#settling ??= this.#chore(() => {
      const cut = halfway(this.#state, performance.now() - this.#limits.journalAgeMs / 2)
      return settle(this.#state, cut, this.#dropped)
    }).then(finish(0), finish(SETTLE_PAUSE_MS))
    return this.#settling
  }

  #sweepInBackground(): void {
    if (this.#sweeping !== undefined) return
    this.#sweeping = this.sweep()
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'a sweep was given up; the next one tries again')
      })
      .finally(() => {
        this.#sweeping = undefined
      })
  }
}

/** @throws RangeError */
function placeOf(session: string, subject: Subject): Place {
  if (!NAME.test(session) || !NAME.test(subject)) throw new RangeError('a session or subject has no valid name')
  return new Place(session, subject)
}
