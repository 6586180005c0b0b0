// JetStreamLog: the session log on NATS JetStream, for any number of nodes. An append is one publish with a compare on
// its subject. It resolves when the stream's leader has stored it (with replicas, when a majority has), and after this
// node's followers received it. Reads come from the cache of a followed session, or else from Direct Get. Each read
// asks the stream's leader for the head, so it includes everything that was acknowledged on any node.
import { type Cursor, type Event, formatCursor, parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import { checkNames } from '../../entry-names.ts'
import type { Entry, Seq } from '../../ports/entry.ts'
import { CursorLost, StorageError } from '../../ports/errors.ts'
import type {
  AppendOptions,
  Follower,
  LogWriter,
  ReadLimits,
  Retention,
  SessionLog,
  Subject,
  Subscription,
} from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'
import { purgeSession } from '../maintenance/purge.ts'
import { checkRoom } from '../maintenance/room.ts'
import { StreamWatch } from '../maintenance/stream-watch.ts'
import { Sweeper } from '../maintenance/sweeper.ts'
import { WriteHealth } from '../maintenance/write-health.ts'
import type { Streams } from '../streams.ts'
import { Appender } from './appender.ts'
import { DirectReader } from './direct-reader.ts'
import type { FollowedSession } from './followed-session.ts'
import { FollowedSessions, type FollowLimits, type FollowState } from './followed-sessions.ts'
import { PUBLISHER_LIMITS, Publisher, type PublisherLimits } from './publisher.ts'
import type { CacheLimits } from './recent-entries.ts'
import { SessionSource } from './session-source.ts'
import { TrimWatermarks } from './trim-watermarks.ts'

export interface JetStreamLogOptions {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  /** The last entry that the session's transcript covers, in this log's epoch; 0 without a transcript. */
  readonly covered: (session: string) => Promise<Seq>
  readonly retention: Retention
  /** Called after a sweep with the sessions to compact, so that the next sweep finds their entries covered. */
  readonly onUncovered?: (sessions: ReadonlySet<string>) => void
  /** Unix milliseconds, for the times of entries and for retention. */
  readonly now: () => number
  readonly logger: Logger
  /** Milliseconds between a watermark and its purge; default 15 minutes. Use 0 only with one node. */
  readonly graceMs?: number
  readonly sweepIntervalMs?: number
  readonly cache?: Partial<CacheLimits>
  readonly limits?: Partial<PublisherLimits>
  readonly followLimits?: Partial<FollowLimits>
}

const GRACE_MS = 15 * 60_000
const SWEEP_MS = 60_000
const READ_ENTRIES = 512
const READ_BYTES = 256 * 1024

export class JetStreamLog implements SessionLog {
  readonly epoch: string
  readonly health: WriteHealth
  readonly #options: JetStreamLogOptions
  readonly #deadlineMs: number
  readonly #publisher: Publisher
  readonly #reader: DirectReader
  readonly #watermarks: TrimWatermarks
  readonly #source: SessionSource
  readonly #sessions: FollowedSessions
  readonly #sweeper: Sweeper
  readonly #appender: Appender
  readonly #subscriptions: Subscription[] = []
  readonly #streamWatch: StreamWatch
  #closed = false
  /** Unix milliseconds since when the streams have another epoch than at the start. */
  #staleSince: number | undefined

  constructor(options: JetStreamLogOptions) {
    const { connection, streams, logger, graceMs = GRACE_MS } = options
    this.epoch = streams.epoch
    this.#options = options
    this.health = new WriteHealth({ connection, logger })
    this.#deadlineMs = options.limits?.deadlineMs ?? PUBLISHER_LIMITS.deadlineMs
    this.#publisher = new Publisher(connection.nats, logger, options.limits)
    this.#reader = new DirectReader(connection.nats, { deadlineMs: this.#deadlineMs })
    const [publisher, reader] = [this.#publisher, this.#reader]
    const { prefix, watermarks: stream } = streams
    this.#watermarks = new TrimWatermarks({ publisher, reader, prefix, stream, graceMs })
    this.#source = new SessionSource({ publisher, reader, watermarks: this.#watermarks, streams })
    this.#appender = new Appender({
      connection,
      publisher,
      reader,
      source: this.#source,
      now: options.now,
      known: (session) => this.#sessions.get(session)?.position ?? 0,
      checkOpen: () => this.#checkOpen(),
      delivered: (session, seq) => this.#delivered(session, seq),
      logger,
    })
    this.#sessions = new FollowedSessions({
      connection: connection.nats,
      source: this.#source,
      logger,
      decode: (subject, message) => this.#appender.decode(subject, message),
      ...(options.cache === undefined ? {} : { cache: options.cache }),
      ...(options.followLimits === undefined ? {} : { limits: options.followLimits }),
    })
    this.#sweeper = new Sweeper({
      connection: connection.nats,
      publisher,
      reader,
      watermarks: this.#watermarks,
      source: this.#source,
      streams,
      covered: options.covered,
      retention: options.retention,
      onUncovered: options.onUncovered ?? (() => undefined),
      now: options.now,
      logger,
      graceMs,
      intervalMs: options.sweepIntervalMs ?? SWEEP_MS,
      pendingFirstAppends: () => this.#appender.pendingFirstAppends(),
    })
    this.#streamWatch = new StreamWatch({
      connection,
      sessions: streams.partitions.map(({ stream }) => stream),
      others: [streams.transcripts, streams.runs, streams.watermarks],
      stalledMs: () => publisher.stalledMs,
      onChecked: (problem) => this.#reportHealth(problem),
      onEpochChanged: (stream) => this.#handleEpochChange(stream),
    })
    this.#watch()
  }

  /** Whether this node's followed sessions are live. */
  get state(): FollowState {
    return this.#staleSince === undefined ? this.#sessions.state : { state: 'away', since: this.#staleSince }
  }

  /** Bytes of cached entries. */
  get cachedBytes(): number {
    return this.#sessions.cachedBytes
  }

  writer(session: string, subject: Subject): LogWriter {
    return {
      submit: (event, expect, listener, options) =>
        this.#appender.submit(session, subject, event, expect, listener, options?.rollup),
    }
  }

  append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry> {
    return new Promise((appended, refused) => {
      this.#appender.submit(session, subject, event, expect, { appended, refused }, options?.rollup)
    })
  }

  #delivered(session: string, seq: Seq): Promise<void> | undefined {
    const followed = this.#sessions.get(session)
    if (followed === undefined || followed.position >= seq) return undefined
    return this.#awaitFollowers(followed.catchUp(seq))
  }

  async *read(session: string, cursor: Cursor, limits: ReadLimits = {}): AsyncGenerator<readonly Entry[]> {
    checkNames(session)
    const after = this.#seqOf(cursor)
    const followed = this.#sessions.get(session)
    const use = followed?.isUsable ? followed.use() : undefined
    try {
      if (use !== undefined && followed !== undefined) {
        await this.#within(followed.confirm())
        await this.#checkCursor(session, after, followed.position)
        if (followed.recent(after) === undefined) await this.#within(followed.extend(after))
        const entries = followed.recent(after)
        if (entries !== undefined) {
          yield* chunks(entries, limits)
          return
        }
      }
      const position = yield* this.#readAll(session, after, limits)
      // A caller that follows from here must not receive these entries again.
      if (use !== undefined) await this.#within(followed?.catchUp(position) ?? Promise.resolve())
    } finally {
      use?.close()
    }
  }

  /** Reads without the cache. @returns the position up to which it read */
  async *#readAll(session: string, after: Seq, limits: ReadLimits): AsyncGenerator<readonly Entry[], Seq> {
    let position = after
    for (let isWhole = false; !isWhole; ) {
      const tip = await this.#source.tip(session)
      await this.#checkCursor(session, position, tip)
      // If a run was compacted during the read, its rollup is after the tip: read on until it is included.
      isWhole = true
      for await (const batch of this.#source.replay(session, position, tip)) {
        if (batch.compacted) isWhole = false
        position = batch.position
        yield* chunks(
          batch.entries.map(({ entry }) => entry),
          limits,
        )
      }
    }
    return position
  }

  async follow(session: string, cursor: Cursor, follower: Follower): Promise<Subscription> {
    checkNames(session)
    let at = this.#seqOf(cursor)
    const { followed, isNew } = this.#sessions.open(session)
    const use = followed.use()
    try {
      await this.#within(isNew ? followed.live() : followed.confirm())
      await this.#checkCursor(session, at, followed.position)
      let fits = true
      for (;;) {
        if (!followed.isUsable) throw new StorageError('unavailable')
        const entries = followed.recent(at)
        if (entries !== undefined) {
          for (const chunk of chunks(entries, {})) followed.deliverTo(follower, chunk)
          return followed.add(follower)
        }
        if (fits) fits = await this.#within(followed.extend(at))
        else at = await this.#replay(session, at, followed, follower)
      }
    } finally {
      use.close()
    }
  }

  async head(session: string): Promise<Cursor> {
    checkNames(session)
    this.#checkOpen()
    const tip = await this.#source.tip(session)
    return formatCursor(this.epoch, tip > 0 ? tip : await this.#source.trimmed(session, 0))
  }

  async last(session: string, subject: Subject): Promise<Seq> {
    checkNames(session, subject)
    this.#checkOpen()
    return this.#source.last(session, subject)
  }

  async purge(session: string, keep: Seq | undefined): Promise<void> {
    checkNames(session)
    this.#checkOpen()
    const { connection, streams } = this.#options
    await purgeSession({ connection, source: this.#source, streams }, session, keep)
    this.#sessions.get(session)?.clearCache()
  }

  /** Checks that JetStream has room. An outage is reported by `health` instead. @throws StorageError `full` */
  async probe(): Promise<void> {
    const { connection, streams } = this.#options
    if (this.health.state === 'live') await checkRoom({ connection, publisher: this.#publisher, streams })
  }

  async sweep(): Promise<void> {
    this.#checkOpen()
    await this.#sweeper.sweep()
  }

  /** Rejects new appends, and waits for those in progress. The connection stays open. */
  async close(): Promise<void> {
    this.#closed = true
    for (const subscription of this.#subscriptions) subscription.close()
    this.#streamWatch.close()
    this.health.close()
    await this.#sweeper.close()
    await this.#publisher.close()
    this.#sessions.close()
    this.#reader.close()
  }

  /** Reads for one follower, up to the position of the others, because the entries do not fit in the cache. */
  async #replay(session: string, after: Seq, followed: FollowedSession, follower: Follower): Promise<Seq> {
    const { position } = followed
    let isWhole = true
    for await (const { entries, compacted } of this.#source.replay(session, after, position)) {
      isWhole &&= !compacted && !entries.some(({ entry }) => entry.rollup && entry.seq > position)
      const wanted = entries.map(({ entry }) => entry).filter(({ seq }) => seq <= position)
      for (const chunk of chunks(wanted, {})) followed.deliverTo(follower, chunk)
    }
    if (!isWhole) await this.#within(followed.confirm())
    return position
  }

  #seqOf(cursor: Cursor): Seq {
    if (this.#staleSince !== undefined) throw new CursorLost('foreign')
    this.#checkOpen()
    const position = parseCursor(cursor)
    if (position?.epoch !== this.epoch) throw new CursorLost('foreign')
    return position.seq
  }

  #checkOpen(): void {
    if (this.#closed || this.#staleSince !== undefined) throw new StorageError('unavailable')
  }

  /** @throws CursorLost */
  async #checkCursor(session: string, at: Seq, tip: Seq): Promise<void> {
    if ((await this.#source.trimmed(session, at)) > 0) throw new CursorLost('trimmed')
    if (at > tip && at > (await this.#source.trimmed(session, 0))) throw new CursorLost('beyond')
  }

  /** Waits until the deadline. @throws StorageError */
  async #within<T>(done: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StorageError('unavailable')), this.#deadlineMs)
    })
    try {
      return await Promise.race([done, late])
    } finally {
      clearTimeout(timer)
    }
  }

  // The entry is stored, so the append resolves even if the followers do not receive it in time.
  async #awaitFollowers(done: Promise<void>): Promise<void> {
    await this.#within(done).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'append acknowledged before its followers received it')
    })
  }

  #reportHealth(problem: string | undefined): void {
    const before = this.health.state
    this.health.report(this.#staleSince === undefined ? problem : 'the log has a new epoch')
    // Entries stored during the outage may not have been republished to this node.
    if (before === 'away' && this.health.state === 'live') this.#sessions.recheck()
  }

  #handleEpochChange(stream: string): void {
    this.#options.logger.fatal({ stream }, 'the log was recreated or restored while this node ran: restart the node')
    this.#staleSince = Date.now()
    this.#sessions.fail(new CursorLost('foreign'))
  }

  async #watchServers(): Promise<void> {
    for await (const { type } of this.#options.connection.nats.status()) {
      // A server joined or left the cluster: messages on its routes may be lost.
      if (type === 'update') this.#sessions.recheck()
    }
  }

  #watch(): void {
    const { connection, streams, logger } = this.#options
    this.#watchServers().catch((error: unknown) => logger.error({ err: error }, 'stopped watching the NATS servers'))
    this.#subscriptions.push(
      connection.onState((state) => {
        if (state === 'away') {
          this.#publisher.pause()
          this.#sessions.disconnected()
        } else if (state === 'live') {
          this.#reader.interrupt()
          this.#publisher.resume()
          this.#sessions.reconnected()
          this.#streamWatch.check()
        }
      }),
    )
    for (const { stream } of streams.partitions) {
      const subject = `$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.${stream}`
      const subscription = connection.nats.subscribe(subject, {
        callback: () => this.#sessions.recheck(stream),
      })
      this.#subscriptions.push({ close: () => connection.nats.isClosed() || subscription.unsubscribe() })
    }
  }
}

function* chunks(entries: readonly Entry[], limits: ReadLimits): Generator<readonly Entry[]> {
  const { batchEntries = READ_ENTRIES, batchBytes = READ_BYTES } = limits
  let from = 0
  let bytes = 0
  for (let i = 0; i < entries.length; i++) {
    const size = (entries[i] as Entry).json.length
    if (i > from && (i - from >= batchEntries || bytes + size > batchBytes)) {
      yield entries.slice(from, i)
      from = i
      bytes = 0
    }
    bytes += size
  }
  if (from < entries.length) yield entries.slice(from)
}
