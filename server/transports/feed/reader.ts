// Reader: reads one session for one connection. It sends every entry after its cursor once, in order.
//
//   attach ──► catching up ──(at the feed's position)──► live
//                  ▲                                       │
//                  └──(outbox full, or feed lost)──────────┘        any ──► closed
//
// A reader that falls behind buffers nothing: it remembers its position and reads the log again.
import { setTimeout as sleep } from 'node:timers/promises'
import { type CodecName, type Cursor, formatCursor, parseCursor, ReplyError } from '@parley/protocol'
import { ReaderArrival } from '../../metric/transport-metrics.ts'
import { mergeOutputs } from '../../session/transcript/entry-projection.ts'
import { replay } from '../../session/transcript/replay.ts'
import type { Seq } from '../../store/ports/entry.ts'
import { CursorLost, StorageError } from '../../store/ports/errors.ts'
import { type EntryForm, EntryMessage, type FrameHead } from './entry-message.ts'
import type { Feed, LiveReader, ReaderReport } from './feed.ts'
import type { FeedLease } from './hub.ts'
import type { ReaderClient, ReaderPorts, ReaderSink, ReaderStart } from './reader-ports.ts'

type Phase = 'attaching' | 'catching up' | 'live' | 'closed'

/** Milliseconds for which an attached reader retries when the log is unreachable, and between its attempts. */
const OUTAGE_MS = 5 * 60_000
const OUTAGE_RETRY_MS = 500
/** Number of replays interrupted by a trimmed log after which the reader fails. */
const MAX_LOST = 8

/** Shared by all readers, because there is nearly never a waiter. Never mutated, only replaced. */
const NO_WAITERS: readonly never[] = []

interface Waiter {
  readonly seq: Seq
  readonly then: () => void
}

export class Reader implements LiveReader {
  readonly session: string
  readonly #ports: ReaderPorts
  readonly #sink: ReaderSink
  readonly #client: ReaderClient
  readonly #merge: boolean
  readonly #keep: ReaderStart['keep']
  /** Id of the attach command. */
  readonly #id: string
  /** The cursor of the attach command, until it is attached. */
  #after: Cursor | undefined
  /** Set until it is live for the first time, if metrics are enabled. */
  #arrival: ReaderArrival | undefined
  #phase: Phase = 'attaching'
  #lease: FeedLease | undefined
  #role = ''
  /** The sequence number up to which everything was written to the sink. Valid once the first replay has started. */
  #position: Seq = 0
  /** The entries sent so far may have a gap: the next replay resets the client. */
  #resets = false
  #behindSince: number | undefined
  /** The broadcast topic that it is subscribed to. */
  #topic: string | undefined
  #waiters: readonly Waiter[] = NO_WAITERS
  readonly #since = Date.now()

  constructor(ports: ReaderPorts, sink: ReaderSink, client: ReaderClient, start: ReaderStart) {
    this.session = start.session
    this.#ports = ports
    this.#sink = sink
    this.#client = client
    this.#merge = start.merge
    this.#keep = start.keep
    this.#id = start.id
    this.#after = start.after
    const { metrics } = ports
    if (metrics === undefined) return
    const { resume, after, fresh } = start
    metrics.readerCame(client.door)
    this.#arrival = new ReaderArrival(client, resume, after !== undefined && fresh !== true)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The sequence number up to which everything was written to the sink. */
  get position(): Seq {
    return this.#position
  }

  /** `performance.now()` when it fell behind; undefined while it is live, and before it was live for the first time. */
  get behindSince(): number | undefined {
    return this.#behindSince
  }

  report(): ReaderReport {
    const { connection, user, door } = this.#client
    const since = this.#behindSince
    return {
      connection,
      user,
      door,
      cursor: formatCursor(this.#ports.stores.log.epoch, this.#position),
      state: this.#phase === 'live' ? 'live' : 'behind',
      since: this.#since,
      unsentBytes: this.#sink.unsentBytes,
      ...(since === undefined ? {} : { behindMs: Math.round(performance.now() - since) }),
    }
  }

  /**
   * Sends `attached`, then the entries, then `live`. Resolves when `attached` was written; the rest continues in the
   * background. @throws ReplyError, StorageError: then nothing was sent
   */
  async attach(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let isAttached = false
      const attached = (): void => {
        isAttached = true
        resolve()
      }
      const ended = (error?: unknown): void => {
        if (isAttached) {
          if (error !== undefined) this.#fail(error)
          return
        }
        this.close()
        reject(
          error ??
            new ReplyError('not_attached', 'The session was detached or attached again before this attach completed.'),
        )
      }
      this.#catchUp(attached).then(() => ended(), ended)
    })
  }

  /** Calls back when everything up to `seq` was written to the sink, or when the reader is closed; at once if it already is. */
  whenReached(seq: Seq, then: () => void): void {
    if (this.#phase === 'closed' || (this.#phase !== 'attaching' && this.#position >= seq)) then()
    else this.#waiters = [...this.#waiters, { seq, then }]
  }

  deliver(message: EntryMessage): void {
    // It may have left the feed while the feed was delivering this message.
    if (this.#phase !== 'live') return
    const sink = this.#sink
    if (sink.full) {
      this.#fallBehind()
      return
    }
    this.#send(message)
    this.#moveTo(message.position)
  }

  deliverShared(message: EntryMessage, head: FrameHead, bytes: number): CodecName | undefined {
    if (this.#phase !== 'live') return undefined
    const sink = this.#sink
    if (sink.full) {
      this.#fallBehind()
      return undefined
    }
    const { codec } = sink
    const isShared = isCodec(codec) && this.#keep === undefined && sink.acceptsBroadcast(bytes)
    if (!isShared) {
      this.#unsubscribe()
      this.#send(message)
    } else if (this.#topic === undefined) {
      this.#topic = head.topic(codec)
      sink.subscribe(this.#topic)
    }
    this.#moveTo(message.position)
    return isShared ? codec : undefined
  }

  lost(reset: boolean): void {
    this.#resets ||= reset
    this.#fallBehind()
  }

  memberLeft(user: string): void {
    if (user !== this.#client.user) return
    this.#fail(new ReplyError('forbidden', 'You are no longer a member of this session.'))
  }

  sessionDeleted(): void {
    this.#fail(new ReplyError('session_deleted'))
  }

  /** Sends `live` again after an outage of the log, if it is live. */
  sendLive(): void {
    if (this.#phase === 'live') this.#writeLive()
  }

  close(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#ports.metrics?.readerLeft(this.#client.door)
    this.#unsubscribe()
    this.#releaseFeed()
    const waiting = this.#waiters
    this.#waiters = NO_WAITERS
    for (const { then } of waiting) then()
  }

  #send(message: EntryMessage): void {
    const sink = this.#sink
    const keep = this.#keep
    const own = keep === undefined || message.empty ? message : message.filter(keep)
    if (!own.empty) sink.writeEntries(own.in(sink.codec))
  }

  #releaseFeed(): void {
    if (this.#lease === undefined) return
    const lease = this.#lease
    this.#lease = undefined
    lease.feed.leave(this)
    lease.feed.unwatch(this)
    lease.release()
  }

  #unsubscribe(): void {
    if (this.#topic === undefined) return
    this.#sink.unsubscribe(this.#topic)
    this.#topic = undefined
  }

  #fallBehind(): void {
    this.#unsubscribe()
    this.#lease?.feed.leave(this)
    this.#phase = 'catching up'
    this.#ports.metrics?.readerFellBehind(this.#client)
    this.#behindSince = performance.now()
    this.#catchUp(() => undefined).catch((error: unknown) => this.#fail(error))
  }

  #fail(error: unknown): void {
    if (this.#phase === 'closed') return
    this.close()
    this.#client.readFailed(this.session, error)
  }

  /** @param attached called when `attached` was written */
  async #catchUp(attached: () => void): Promise<void> {
    const { replays } = this.#sink
    if (!(await replays.acquire())) return
    const until = performance.now() + OUTAGE_MS
    try {
      for (let lost = 0; this.#phase !== 'closed'; ) {
        const feed = await this.#retainFeed()
        if (feed === undefined) return
        const release = feed.keepRecent()
        try {
          await this.#replay(feed, attached)
          if (this.#goLive(feed)) return
        } catch (error) {
          if (error instanceof StorageError && this.#phase === 'catching up' && performance.now() < until) {
            // An attached reader stays attached during an outage of the log.
            await sleep(OUTAGE_RETRY_MS)
            continue
          }
          // The log was trimmed during the replay: the next attempt resets the client and reads the transcript.
          lost += 1
          if (!(error instanceof CursorLost) || lost === MAX_LOST) throw error
        } finally {
          release()
        }
      }
    } finally {
      replays.release()
    }
  }

  /** @returns undefined if the reader was closed meanwhile */
  async #retainFeed(): Promise<Feed | undefined> {
    if (this.#lease !== undefined && !this.#lease.feed.isLost) return this.#lease.feed
    this.#releaseFeed()
    const lease = await this.#ports.hub.retain(this.session)
    if (this.#phase === 'closed') {
      lease.release()
      return undefined
    }
    this.#lease = lease
    if (lease.feed.isDeleted) throw new ReplyError('session_deleted')
    // Watch first, then check access: otherwise a removal in between would be missed.
    lease.feed.watch(this)
    this.#role = await this.#client.admit(this.session)
    return this.#closed ? undefined : lease.feed
  }

  async #replay(feed: Feed, attached: () => void): Promise<void> {
    const { stores } = this.#ports
    const { session } = this
    const sink = this.#sink
    if (!(await sink.whenWritable())) return
    const first = this.#phase === 'attaching'
    const resets = this.#resets
    const at = first ? this.#after : formatCursor(stores.log.epoch, this.#position)
    // A client that resumes at the feed's position needs no read.
    if (first && !resets && at === formatCursor(stores.log.epoch, feed.position)) {
      this.#position = feed.position
      this.#writeAttached(feed, false)
      attached()
      return
    }
    const after = resets ? undefined : at
    const { reset: isLost, batches } = await replay(stores, session, after, { merge: this.#merge })
    if (this.#closed) return
    const reset = resets || isLost
    this.#resets = false
    if (reset) this.#arrival?.reset()
    if (first || reset) {
      this.#position = reset || after === undefined ? 0 : (parseCursor(after)?.seq ?? 0)
      this.#writeAttached(feed, reset)
      attached()
    }
    for await (const batch of batches) {
      if (this.#closed) return
      if (batch.entries.length > 0) this.#send(new EntryMessage(feed.head, batch.entries, batch.position))
      // The filter closes the reader after the last entry that it wants.
      if (this.#closed) return
      this.#moveTo(batch.position)
      if (!(await sink.whenWritable())) return
    }
  }

  /** Goes live in one synchronous step, so that no entry can come in between. @returns whether the catch-up is done */
  #goLive(feed: Feed): boolean {
    if (this.#closed) return true
    if (feed.isLost || this.#sink.full) return false
    const entries = feed.entriesAfter(this.#position)
    if (entries === undefined) return false
    // In full, as in a replay: the reader was not live when these arrived.
    const shown = this.#merge ? mergeOutputs(entries) : entries
    if (shown.length > 0) this.#send(new EntryMessage(feed.head, shown, feed.position))
    if (this.#closed) return true
    // A cursor from another session of the store may be beyond this session's last entry.
    this.#moveTo(Math.max(this.#position, feed.position))
    this.#phase = 'live'
    this.#behindSince = undefined
    feed.join(this)
    const { metrics } = this.#ports
    if (metrics !== undefined) this.#arrival?.live(metrics)
    this.#arrival = undefined
    this.#writeLive()
    return true
  }

  #writeAttached({ position }: Feed, reset: boolean): void {
    const cursor = formatCursor(this.#ports.stores.log.epoch, position)
    const { session } = this
    const frame = { type: 'attached', id: this.#id, session, cursor, role: this.#role } as const
    this.#sink.write(reset ? { ...frame, reset } : frame)
    if (this.#phase === 'attaching') this.#phase = 'catching up'
    this.#after = undefined
  }

  #writeLive(): void {
    const cursor = formatCursor(this.#ports.stores.log.epoch, this.#position)
    this.#sink.write({ type: 'live', session: this.session, cursor })
  }

  get #closed(): boolean {
    return this.#phase === 'closed'
  }

  #moveTo(position: Seq): void {
    this.#position = position
    if (this.#waiters.length === 0) return
    const reached = this.#waiters.filter((waiter) => waiter.seq <= position)
    if (reached.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => waiter.seq > position)
    for (const { then } of reached) then()
  }
}

function isCodec(form: EntryForm): form is CodecName {
  return form === 'json' || form === 'msgpack'
}
