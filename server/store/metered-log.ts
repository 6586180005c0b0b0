// MeteredLog: a session log that records durations and conflicts as metrics. Appends through `writer`, one per token,
// are not measured: they go directly to the wrapped log.
import type { Cursor, Event } from '@parley/protocol'
import type { LogMetrics } from '../metric/log-metrics.ts'
import type { Entry, Seq } from './ports/entry.ts'
import { Conflict } from './ports/errors.ts'
import type {
  AppendOptions,
  Follower,
  LogWriter,
  ReadLimits,
  SessionLog,
  Subject,
  Subscription,
} from './ports/session-log.ts'

export class MeteredLog implements SessionLog {
  readonly epoch: string
  readonly #log: SessionLog
  readonly #metrics: LogMetrics

  constructor(log: SessionLog, metrics: LogMetrics) {
    this.epoch = log.epoch
    this.#log = log
    this.#metrics = metrics
  }

  async append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry> {
    const start = performance.now()
    try {
      const entry = await this.#log.append(session, subject, event, expect, options)
      this.#metrics.appended(subject, (performance.now() - start) / 1000)
      return entry
    } catch (error) {
      if (error instanceof Conflict) this.#metrics.conflicted(subject)
      else this.#metrics.failed(subject)
      throw error
    }
  }

  writer(session: string, subject: Subject): LogWriter {
    return this.#log.writer(session, subject)
  }

  read(session: string, after: Cursor, limits?: ReadLimits): AsyncIterable<readonly Entry[]> {
    return this.#log.read(session, after, limits)
  }

  async follow(session: string, after: Cursor, follower: Follower): Promise<Subscription> {
    const start = performance.now()
    const subscription = await this.#log.follow(session, after, follower)
    this.#metrics.followed((performance.now() - start) / 1000)
    return subscription
  }

  head(session: string): Promise<Cursor> {
    return this.#log.head(session)
  }

  last(session: string, subject: Subject): Promise<Seq> {
    return this.#log.last(session, subject)
  }

  purge(session: string, keep: Seq | undefined): Promise<void> {
    return this.#log.purge(session, keep)
  }

  sweep(): Promise<void> {
    return this.#log.sweep()
  }
}
