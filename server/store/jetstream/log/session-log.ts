// JetStreamLog: the session log on NATS JetStream, for any number of nodes. An append is one publish with a compare on
// its subject; it resolves when the stream's leader has stored it (and, replicated, most of the others), and after this
// node's followers were given it. What is read comes from the cache of a followed session, else by Direct Get; what
// "up to the head" means is asked of the stream's leader each time, so that who appended on another node and reads
// on this one finds it here.
import { type Cursor, type Event, formatCursor, parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
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
import { StreamWatch } from '../maintenance/stream-watch.ts'
import { Sweeper } from '../maintenance/sweeper.ts'
import { WriteHealth } from '../maintenance/write-health.ts'
import type { Streams } from '../streams.ts'
import { Appender } from './appender.ts'
import { DirectReader } from './direct-reader.ts'
import type { FollowedSession } from './followed-session.ts'
import { FollowedSessions, type LiveLimits, type LiveState } from './followed-sessions.ts'
import { PUBLISHER_LIMITS, Publisher, type PublisherLimits } from './publisher.ts'
import type { CacheLimits } from './recent-entries.ts'
import { SessionSource } from './session-source.ts'
import { TrimWatermarks } from './trim-watermarks.ts'

export interface JetStreamLogOptions {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  /** How far the session's transcript goes, in this log's epoch; 0 when it has none. */
  readonly covered: (session: string) => Promise<Seq>
  readonly retention: Retention
  /** Told after a sweep which sessions should be folded, so that the next sweep finds them covered. */
  readonly uncovered?: (sessions: ReadonlySet<string>) => void
  /** Unix milliseconds; the clock of entries' times and of retention. */
  readonly now: () => number
  readonly logger: Logger
  /** Milliseconds from the decision to trim entries until they go; default 15 minutes. 0 is for one node alone. */
  readonly graceMs?: number
  readonly sweepIntervalMs?: number
  readonly cache?: Partial<CacheLimits>
  readonly limits?: Partial<PublisherLimits>
  readonly liveLimits?: Partial<LiveLimits>
}

const NAME = /^[\x21-\x7e]{1,256}$/
const GRACE_MS = 15 * 60_000
const SWEEP_MS = 60_000
const READ_ENTRIES = 512
const READ_BYTES = 256 * 1024

export class JetStreamLog implements SessionLog {
  readonly epoch: string
  readonly reach: WriteHealth
  readonly #options: JetStreamLogOptions
  readonly #deadlineMs: number
  readonly #publisher: Publisher
  readonly #reader: DirectReader
  readonly #marks: TrimWatermarks
  readonly #source: SessionSource
  readonly #live: FollowedSessions
  readonly #sweeper: Sweeper
  readonly #appender: Appender
  readonly #watches: Subscription[] = []
  readonly #streamWatch: StreamWatch
  #closed = false
  /** Unix milliseconds since which the streams are not those of our epoch any more. */
  #foreignSince: number | undefined

  constructor(options: JetStreamLogOptions) {
    const { connection, streams, logger, graceMs = GRACE_MS } = options
    this.epoch = streams.epoch
    this.#options = options
    this.reach = new WriteHealth({ connection, logger })
    this.#deadlineMs = options.limits?.deadlineMs ?? PUBLISHER_LIMITS.deadlineMs
    this.#publisher = new Publisher(connection.nats, logger, options.limits)
    this.#reader = new DirectReader(connection.nats, { deadlineMs: this.#deadlineMs })
    const [publisher, reader] = [this.#publisher, this.#reader]
    this.#marks = new TrimWatermarks({ publisher, reader, prefix: streams.prefix, stream: streams.marks, graceMs })
    this.#source = new SessionSource({ publisher, reader, marks: this.#marks, streams })
    this.#appender = new Appender({
      connection,
      publisher,
      reader,
      source: this.#source,
      now: options.now,
      known: (session) => this.#live.get(session)?.at ?? 0,
    })
    this.#live = new FollowedSessions({
      connection: connection.nats,
      source: this.#source,
      logger,
      decode: (session, message) => this.#appender.decode(session, message),
      ...(options.cache === undefined ? {} : { cache: options.cache }),
      ...(options.liveLimits === undefined ? {} : { limits: options.liveLimits }),
    })
    this.#sweeper = new Sweeper({
      connection: connection.nats,
      publisher,
      reader,
      marks: this.#marks,
      source: this.#source,
      streams,
      covered: options.covered,
      retention: options.retention,
      uncovered: options.uncovered ?? (() => undefined),
      now: options.now,
      logger,
      graceMs,
      intervalMs: options.sweepIntervalMs ?? SWEEP_MS,
      settled: () => this.#appender.settled(),
    })
    this.#streamWatch = new StreamWatch({
      connection,
      sessions: streams.partitions.map(({ stream }) => stream),
      others: [streams.transcripts, streams.runs, streams.marks],
      stalledMs: () => publisher.stalledMs,
      looked: (problem) => this.#reached(problem),
      changed: (stream) => this.#becomeForeign(stream),
    })
    this.#watch()
  }

  /** How far this node's followed sessions are, for doors to tell. */
  get state(): LiveState {
    return this.#foreignSince === undefined ? this.#live.state : { state: 'away', since: this.#foreignSince }
  }

  /** Bytes of entries that are held in memory. */
  get cachedBytes(): number {
    return this.#live.cachedBytes
  }

  writer(session: string, subject: Subject): LogWriter {
    return {
      submit: (event, expect, listener, options) => {
        this.append(session, subject, event, expect, options)
          .then(
            (entry) => listener.appended(entry),
            (error: unknown) => listener.refused(error),
          )
          .catch((error: unknown) => this.#options.logger.error({ err: error }, 'a listener of an append threw'))
      },
    }
  }

  async append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry> {
    if (!NAME.test(session) || !NAME.test(subject)) throw new RangeError('a session or subject has no valid name')
    this.#checkOpen()
    const rollup = options?.rollup ?? false
    const entry = await this.#appender.append(session, subject, event, expect, rollup)
    const feed = this.#live.get(session)
    if (feed !== undefined && feed.at < entry.seq) await this.#soon(feed.pull(entry.seq))
    return entry
  }

  async *read(session: string, cursor: Cursor, limits: ReadLimits = {}): AsyncGenerator<readonly Entry[]> {
    const at = this.#seqOf(cursor)
    const feed = this.#live.get(session)
    const use = feed?.isUsable ? feed.use() : undefined
    try {
      if (use !== undefined && feed !== undefined) {
        await this.#within(feed.confirm())
        await this.#check(session, at, feed.at)
        if (feed.recent(at) === undefined) await this.#within(feed.extend(at))
        const entries = feed.recent(at)
        if (entries !== undefined) {
          yield* chunks(entries, limits)
          return
        }
      }
      const position = yield* this.#readAll(session, at, limits)
      // Who goes on live from here has had this: it is not to be handed out again.
      if (use !== undefined) await this.#within(feed?.pull(position) ?? Promise.resolve())
    } finally {
      use?.close()
    }
  }

  /** From the log alone. @returns up to where */
  async *#readAll(session: string, at: Seq, limits: ReadLimits): AsyncGenerator<readonly Entry[], Seq> {
    let position = at
    for (let isWhole = false; !isWhole; ) {
      const tip = await this.#source.tip(session)
      await this.#check(session, position, tip)
      // A run that was rolled up while it was read is missing: what stands for it comes after the tip.
      isWhole = true
      for await (const batch of this.#source.replay(session, position, tip)) {
        if (batch.rolledUp) isWhole = false
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
    let at = this.#seqOf(cursor)
    const { feed, fresh } = this.#live.open(session)
    const use = feed.use()
    try {
      await this.#within(fresh ? feed.live() : feed.confirm())
      await this.#check(session, at, feed.at)
      let fits = true
      for (;;) {
        if (!feed.isUsable) throw new StorageError('unavailable')
        const entries = feed.recent(at)
        if (entries !== undefined) {
          for (const chunk of chunks(entries, {})) feed.hand(follower, chunk)
          return feed.enter(follower)
        }
        if (fits) fits = await this.#within(feed.extend(at))
        else at = await this.#replay(session, at, feed, follower)
      }
    } finally {
      use.close()
    }
  }

  async head(session: string): Promise<Cursor> {
    this.#checkOpen()
    const tip = await this.#source.tip(session)
    return formatCursor(this.epoch, tip > 0 ? tip : await this.#source.trimmed(session, 0))
  }

  async last(session: string, subject: Subject): Promise<Seq> {
    this.#checkOpen()
    return this.#source.last(session, subject)
  }

  async purge(session: string, keep: Seq | undefined): Promise<void> {
    this.#checkOpen()
    const { connection, streams } = this.#options
    await purgeSession({ connection, source: this.#source, streams }, session, keep)
    this.#live.get(session)?.forget()
  }

  async sweep(): Promise<void> {
    this.#checkOpen()
    await this.#sweeper.sweep()
  }

  /** Waits for the answers of what was taken, then takes no more. The connection stays open. */
  async close(): Promise<void> {
    this.#closed = true
    for (const watch of this.#watches) watch.close()
    this.#streamWatch.close()
    this.reach.close()
    await this.#sweeper.close()
    await this.#publisher.close()
    this.#live.close()
    this.#reader.close()
  }

  /** Reads for one follower alone, up to where the others are: there is no room for all of it in the cache. */
  async #replay(session: string, after: Seq, feed: FollowedSession, follower: Follower): Promise<Seq> {
    const { at } = feed
    let whole = true
    for await (const { entries, rolledUp } of this.#source.replay(session, after, at)) {
      whole &&= !rolledUp && !entries.some(({ entry }) => entry.rollup && entry.seq > at)
      const wanted = entries.map(({ entry }) => entry).filter(({ seq }) => seq <= at)
      for (const chunk of chunks(wanted, {})) feed.hand(follower, chunk)
    }
    if (!whole) await this.#within(feed.confirm())
    return at
  }

  #seqOf(cursor: Cursor): Seq {
    if (this.#foreignSince !== undefined) throw new CursorLost('foreign')
    this.#checkOpen()
    const position = parseCursor(cursor)
    if (position?.epoch !== this.epoch) throw new CursorLost('foreign')
    return position.seq
  }

  #checkOpen(): void {
    if (this.#closed || this.#foreignSince !== undefined) throw new StorageError('unavailable')
  }

  /** @throws CursorLost */
  async #check(session: string, at: Seq, tip: Seq): Promise<void> {
    if ((await this.#source.trimmed(session, at)) > 0) throw new CursorLost('trimmed')
    if (at > tip && at > (await this.#source.trimmed(session, 0))) throw new CursorLost('beyond')
  }

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

  // What is stored is stored: when the followers cannot be given it in time, the append resolves all the same.
  async #soon(done: Promise<void>): Promise<void> {
    await this.#within(done).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'an append was answered before its followers had it')
    })
  }

  /** What was stored while a stream was away may not have been republished to here. */
  #reached(problem: string | undefined): void {
    const before = this.reach.state
    this.reach.report(this.#foreignSince === undefined ? problem : 'the log was made anew')
    if (before === 'away' && this.reach.state === 'live') this.#live.doubt()
  }

  #becomeForeign(stream: string): void {
    this.#options.logger.fatal({ stream }, 'the log was made anew or restored while this node ran: restart it')
    this.#foreignSince = Date.now()
    this.#live.lose(new CursorLost('foreign'))
  }

  async #watchServers(): Promise<void> {
    for await (const { type } of this.#options.connection.nats.status()) {
      // A server came or went, and with it the routes that messages take.
      if (type === 'update') this.#live.doubt()
    }
  }

  #watch(): void {
    const { connection, streams, logger } = this.#options
    this.#watchServers().catch((error: unknown) => logger.error({ err: error }, 'watching the NATS servers ended'))
    this.#watches.push(
      connection.onState((state) => {
        if (state === 'away') {
          this.#publisher.pause()
          this.#live.away()
        } else if (state === 'live') {
          this.#reader.interrupt()
          this.#publisher.resume()
          this.#live.back()
          this.#streamWatch.look()
        }
      }),
    )
    for (const { stream } of streams.partitions) {
      const subject = `$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.${stream}`
      const subscription = connection.nats.subscribe(subject, { callback: () => this.#live.doubt(stream) })
      this.#watches.push({ close: () => connection.nats.isClosed() || subscription.unsubscribe() })
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
