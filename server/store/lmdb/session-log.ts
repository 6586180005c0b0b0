// LmdbLog: the embedded session log. Appends queue up; one commit at a time takes them, compares them in order, and
// writes the winners as one journal record. Only when it is on disk do memory, followers and callers see the entries,
// in that order: durable before visible. Checkpoints, retention and purges run between the commits, as background
// tasks. Measured with 40 entries per commit and 250 commits per second: one put per entry costs 17-20 µs of CPU per
// entry and 1.2 ms per commit; one put per group 8-9 µs and 0.4-0.7 ms. See bench/log-bench.ts.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Cursor, type Event, formatCursor } from '@parley/protocol'
import { ThrottledLog } from '../../metric/throttled-log.ts'
import { checkNames } from '../entry-names.ts'
import { Followers } from '../followers.ts'
import type { Entry, Seq } from '../ports/entry.ts'
import { StorageError } from '../ports/errors.ts'
import type {
  AppendOptions,
  Follower,
  LogWriter,
  ReadLimits,
  SessionLog,
  Subject,
  Subscription,
} from '../ports/session-log.ts'
import { SingleFlight } from '../single-flight.ts'
import {
  Append,
  AppendQueue,
  AppendTarget,
  type Commit,
  type LookUpLast,
  reportCommitted,
  reportFailed,
} from './append-queue.ts'
import { BackgroundTasks } from './background-tasks.ts'
import { checkpoint, checkpointTarget, type Step } from './checkpoint.ts'
import { CommitPacer } from './commit-pacer.ts'
import { DEFAULT_LIMITS, type LmdbLogLimits, type LmdbLogOptions } from './log-options.ts'
import { checkTrimmed, lastOf, locate, readBatch } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import { purgeAll, purgeExcept } from './purge.ts'
import { type EncodedGroup, encodeGroup } from './record.ts'
import { sweep } from './sweep.ts'

/** Sessions that one sweep reports for compaction. */
const UNCOVERED_MAX = 1_000

const CHECK_INTERVAL_MS = 1000
/** Appends wait for a checkpoint if the journal is this many times larger than `journalBytes`. */
const WAIT_FACTOR = 2
/** The log refuses appends if the journal is this many times larger than `journalBytes`. */
const REFUSE_FACTOR = 4
/** Milliseconds between a failed checkpoint and the next one. */
const CHECKPOINT_RETRY_MS = 5000

export class LmdbLog implements SessionLog {
  readonly epoch: string
  readonly #options: LmdbLogOptions
  readonly #limits: LmdbLogLimits
  readonly #state: LogState
  readonly #queue: AppendQueue
  readonly #followers: Followers
  readonly #lookUpLast: LookUpLast
  readonly #tasks = new BackgroundTasks()
  readonly #pacer = new CommitPacer()
  readonly #errors = new ThrottledLog<`${'commit' | 'step'} ${StorageError['reason']}`>()
  readonly #timers: NodeJS.Timeout[] = []
  /** Removes the purged entries from the journal's files: those of all purges up to now. */
  readonly #cleaning = new SingleFlight()
  #loop: Promise<void> | undefined
  #running: Promise<void> | undefined
  #checkpointing: Promise<void> | undefined
  #nextCheckpointAt = 0
  #sweeping: Promise<void> | undefined
  #closed = false

  constructor(options: LmdbLogOptions) {
    const { state, epoch, limits, logger } = options
    this.epoch = epoch
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
    this.#queue = new AppendQueue(this.#limits)
    this.#followers = new Followers(logger)
    this.#lookUpLast = (session, subject) => state.tables.subjects.get([session, subject]) ?? 0
    this.#state = options.state
    this.#timers.push(
      setInterval(() => this.#checkpointIfDue(), CHECK_INTERVAL_MS).unref(),
      setInterval(() => this.#sweepInBackground(), this.#limits.sweepIntervalMs).unref(),
    )
  }

  append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry> {
    return new Promise((appended, refused) => {
      const target = targetOf(session, subject)
      this.#enqueue(new Append(target, event, expect, options?.rollup ?? false, { appended, refused }))
    })
  }

  writer(session: string, subject: Subject): LogWriter {
    const target = targetOf(session, subject)
    return {
      submit: (event, expect, listener, options) => {
        try {
          this.#enqueue(new Append(target, event, expect, options?.rollup ?? false, listener))
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
        this.#followers.deliverTo(follower, entries)
      }
      // Nothing is awaited between reading the last batch and going live: no gap.
      if (end) return this.#followers.add(session, follower)
      await nextTurn()
      checkTrimmed(this.#state, session, at)
    }
  }

  async head(session: string): Promise<Cursor> {
    return formatCursor(this.epoch, lastOf(this.#state, session))
  }

  async last(session: string, subject: Subject): Promise<Seq> {
    checkNames(session, subject)
    return this.#state.memtable.tail(session)?.heads.get(subject)?.last ?? this.#lookUpLast(session, subject)
  }

  async purge(session: string, keep: Seq | undefined): Promise<void> {
    checkNames(session)
    await this.#addTask(() =>
      keep === undefined
        ? purgeAll(this.#state, session, this.#releaseJournal)
        : purgeExcept(this.#state, session, keep),
    )
    await this.#cleaning.run(() => this.#cleanJournal())
  }

  sweep(): Promise<void> {
    const { retention, now, covered, logger } = this.#options
    const onOverLimit = (bytes: number) =>
      logger.warn(
        { bytes, maxBytes: retention.maxBytes },
        'the log exceeds its size limit, and transcripts cover no more entries',
      )
    const uncovered = new Set<string>()
    const onUncovered = (session: string): void => {
      if (uncovered.size < UNCOVERED_MAX) uncovered.add(session)
    }
    return this.#addTask(() =>
      sweep(this.#state, {
        retention,
        now: now(),
        covered,
        onOverLimit,
        onUncovered,
        releaseJournal: this.#releaseJournal,
      }),
    ).then(() => this.#options.onUncovered?.(uncovered))
  }

  /** Starts a checkpoint of the whole journal now. Checkpoints also start automatically. */
  checkpoint(): Promise<void> {
    return this.#addTask(() => checkpoint(this.#state, this.#state.last, this.#releaseJournal))
  }

  /** Checks that the disk accepts new data, as an append would. @throws StorageError */
  async probe(): Promise<void> {
    this.#checkRoom()
    await this.#options.journal.probe()
  }

  /** Commits the queued appends, and refuses later ones. */
  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    this.#pacer.stop()
    this.#tasks.cancel(new StorageError('unavailable'))
    await Promise.all([this.#loop, this.#running])
    await this.#options.journal.close()
    this.#followers.clear()
  }

  /** @throws StorageError */
  #enqueue(append: Append): void {
    if (this.#closed || !this.#queue.push(append)) throw new StorageError('unavailable')
    this.#wake()
  }

  async #cleanJournal(): Promise<void> {
    await this.#options.journal.finishSegment()
    // Its newest file may be removed below.
    await this.#options.environment.write(() => this.#state.tables.meta.put('segment', 0), true)
    await this.checkpoint()
    // If an earlier checkpoint already had everything, this one did not release the finished segment.
    this.#releaseJournal((this.#state.groups[0]?.first ?? this.#state.last + 1) - 1)
    await this.#options.journal.removeSpares()
  }

  readonly #releaseJournal = (to: Seq): void => this.#options.journal.release(to)

  readonly #listenerThrew = (error: unknown): void => {
    this.#options.logger.error({ err: error }, 'a listener of an append threw')
  }

  #wake(): void {
    // Appends of the same turn join the first one's commit.
    this.#loop ??= Promise.resolve().then(() => this.#run())
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#pacer.wait(this.#queue.length)
      if (this.#state.journalBytes > this.#limits.journalBytes * WAIT_FACTOR) await this.#checkpointHalf()
      await this.#commit(this.#form())
      // A listener may append again at once, and a fast disk never makes this loop wait; so other work gets its turn
      // here.
      if (this.#queue.length > 0) await nextTurn()
    }
    this.#loop = undefined
  }

  #form(): Commit {
    this.#pacer.start(this.#queue.length)
    return this.#queue.form(this.#state.memtable, this.#state.last, this.#options.now(), this.#lookUpLast)
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
        this.#publish(commit, first, group)
      } catch (error) {
        this.#fail(error as StorageError, commit)
        return
      }
    }
    reportCommitted(commit, this.#state.memtable, this.#listenerThrew)
    this.#checkpointIfDue()
  }

  /**
   * @throws StorageError if the disk is full, or if checkpoints have failed for so long that the journal is too large
   */
  #checkRoom(): void {
    const isTooLarge = this.#state.journalBytes > this.#limits.journalBytes * REFUSE_FACTOR
    if (isTooLarge || !this.#options.environment.hasRoom()) throw new StorageError('full')
  }

  // The next commit reuses the failed commit's sequence numbers and its position in the journal. So it overwrites
  // everything that the failed commit may have left on the disk.
  #fail(error: StorageError, commit: Commit): void {
    const appends = commit.winners.length
    const { reason, cause } = error
    this.#errors.write(`commit ${reason}`, (omitted) => {
      this.#options.logger.error({ reason, err: cause, appends, omitted }, 'a commit failed')
    })
    reportFailed(commit, this.#state.memtable, error, this.#listenerThrew)
  }

  #publish({ winners }: Commit, first: Seq, { text, starts }: EncodedGroup): void {
    const bytes = text.length
    const { memtable, groups } = this.#state
    for (const { target, entry } of winners) {
      target.head.pending = 0
      memtable.add(target.tail, target.head, entry)
      this.#followers.collect(target, entry)
    }
    const last = first + winners.length - 1
    this.#state.last = last
    this.#state.journalBytes += bytes
    groups.push({ first, last, bytes, at: performance.now() })
    this.#followers.deliver()
    for (let at = 0; at < winners.length; at += 1) winners[at]?.entry.shareText(text, starts[at] as number)
  }

  #addTask(start: () => Iterator<Step, void>): Promise<void> {
    if (this.#closed) return Promise.reject(new StorageError('unavailable'))
    const done = this.#tasks.add(start)
    this.#running ??= Promise.resolve().then(() => this.#runTasks())
    return done
  }

  // Runs concurrently with commits. That is safe because a step writes only entries that are durable already, and
  // updates the memory only when its transaction is on disk.
  async #runTasks(): Promise<void> {
    const { environment, logger } = this.#options
    for (let step = this.#tasks.next(); step !== undefined; step = this.#tasks.next()) {
      try {
        await environment.write(() => step.write(), true)
      } catch (error) {
        const { reason, cause } = error as StorageError
        this.#errors.write(`step ${reason}`, (omitted) => {
          logger.error({ reason, err: cause, omitted }, 'a background step failed')
        })
        this.#tasks.fail(error as StorageError)
        continue
      }
      environment.refresh()
      step.done()
    }
    this.#running = undefined
  }

  #checkpointIfDue(): void {
    const { groups, journalBytes } = this.#state
    const oldest = groups[0]
    if (oldest === undefined || this.#checkpointing !== undefined || this.#closed) return
    const now = performance.now()
    if (now < this.#nextCheckpointAt) return
    if (journalBytes <= this.#limits.journalBytes && now - oldest.at <= this.#limits.journalAgeMs) return
    void this.#checkpointHalf()
  }

  /** Resolves when the checkpoint is done or has failed. */
  #checkpointHalf(): Promise<void> {
    const finish = (delayMs: number) => (): void => {
      this.#checkpointing = undefined
      this.#nextCheckpointAt = performance.now() + delayMs
    }
    this.#checkpointing ??= this.#addTask(() => {
      const cut = checkpointTarget(this.#state, performance.now() - this.#limits.journalAgeMs / 2)
      return checkpoint(this.#state, cut, this.#releaseJournal)
    }).then(finish(0), finish(CHECKPOINT_RETRY_MS))
    return this.#checkpointing
  }

  #sweepInBackground(): void {
    if (this.#sweeping !== undefined) return
    this.#sweeping = this.sweep()
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'sweep failed, the next one retries')
      })
      .finally(() => {
        this.#sweeping = undefined
      })
  }
}

/** @throws RangeError */
function targetOf(session: string, subject: Subject): AppendTarget {
  checkNames(session, subject)
  return new AppendTarget(session, subject)
}
