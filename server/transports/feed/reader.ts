// Reader: one connection's reading of one session. It is sent every entry after its cursor once, in order.
//
//   attach ──► catching up ──(at the feed's position)──► live
//                  ▲                                       │
//                  └──(its outbox is full, or feed lost)───┘        any ──► closed
//
// Whoever cannot keep up is not buffered for: its position is remembered, and the log is read again.
import { type CodecName, type Cursor, formatCursor, parseCursor, ReplyError } from '@parley/protocol'
import { ReaderArrival } from '../../metric/transport-metrics.ts'
import { merged } from '../../session/transcript/entry-projection.ts'
import { replay } from '../../session/transcript/replay.ts'
import type { Seq } from '../../store/ports/entry.ts'
import { CursorLost, StorageError } from '../../store/ports/errors.ts'
import { type EntryForm, EntryMessage, type FrameHead } from './entry-message.ts'
import type { Feed, LiveReader, ReaderReport } from './feed.ts'
import type { FeedLease } from './hub.ts'
import type { ReaderOwner, ReaderPorts, ReaderSink, ReaderStart } from './reader-ports.ts'

type Phase = 'attaching' | 'catching up' | 'live' | 'closed'

/** Milliseconds that one who is attached waits for a log that is away, and between its tries. */
const AWAY_MS = 5 * 60_000
const AWAY_RETRY_MS = 500
/** How often the log may be trimmed under one catching up before the reader gives up. */
const LOST_TRIES = 8

/** Nearly always nobody waits. Never changed: another list takes its place. */
const NOBODY: readonly never[] = []

interface Waiter {
  readonly seq: Seq
  readonly then: () => void
}

export class Reader implements LiveReader {
  readonly session: string
  readonly #ports: ReaderPorts
  readonly #sink: ReaderSink
  readonly #owner: ReaderOwner
  readonly #merge: boolean
  readonly #keep: ReaderStart['keep']
  /** The attach command's. */
  readonly #id: string
  /** The cursor that it came with: there until it is attached. */
  #after: Cursor | undefined
  /** There until it is live for the first time, where that is measured. */
  #arrival: ReaderArrival | undefined
  #phase: Phase = 'attaching'
  #lease: FeedLease | undefined
  #role = ''
  /** After the first replay began: the sequence number up to which everything was handed to the sink. */
  #position: Seq = 0
  /** What it was sent may lack an entry: it is told to drop it all. */
  #anew = false
  #behindSince: number | undefined
  /** That it is subscribed to, as one of many readers of the session. */
  #topic: string | undefined
  #waiting: readonly Waiter[] = NOBODY
  readonly #since = Date.now()

  constructor(ports: ReaderPorts, sink: ReaderSink, owner: ReaderOwner, start: ReaderStart) {
    this.session = start.session
    this.#ports = ports
    this.#sink = sink
    this.#owner = owner
    this.#merge = start.merge
    this.#keep = start.keep
    this.#id = start.id
    this.#after = start.after
    const { metrics } = ports
    if (metrics === undefined) return
    const { resume, after, fresh } = start
    metrics.readerCame(owner.door)
    this.#arrival = new ReaderArrival(owner, resume, after !== undefined && fresh !== true)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The sequence number up to which everything was handed to the sink. */
  get position(): Seq {
    return this.#position
  }

  /** `performance.now()` when it was last live and fell behind; undefined while it is live or was never. */
  get behindSince(): number | undefined {
    return this.#behindSince
  }

  report(): ReaderReport {
    const { connection, user, door } = this.#owner
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
   * Sends `attached`, then the entries, then `live`. Resolves when `attached` was handed over; the rest
   * goes on by itself. @throws ReplyError, StorageError: then nothing was sent
   */
  async attach(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let told = false
      const attached = (): void => {
        told = true
        resolve()
      }
      const ended = (error?: unknown): void => {
        if (told) {
          if (error !== undefined) this.#fail(error)
          return
        }
        this.close()
        reject(error ?? new ReplyError('not_attached', 'It was detached, or attached anew, before it was attached.'))
      }
      this.#catchUp(attached).then(() => ended(), ended)
    })
  }

  /** Calls back when everything up to `seq` was handed to the sink, or when the reader is closed: at once if so. */
  whenReached(seq: Seq, then: () => void): void {
    if (this.#phase === 'closed' || (this.#phase !== 'attaching' && this.#position >= seq)) then()
    else this.#waiting = [...this.#waiting, { seq, then }]
  }

  deliver(message: EntryMessage): void {
    // It may have left in the round of this very message.
    if (this.#phase !== 'live') return
    const sink = this.#sink
    if (sink.full) {
      this.#fallBehind()
      return
    }
    this.#send(message)
    this.#moveTo(message.position)
  }

  share(message: EntryMessage, head: FrameHead, bytes: number): CodecName | undefined {
    if (this.#phase !== 'live') return undefined
    const sink = this.#sink
    if (sink.full) {
      this.#fallBehind()
      return undefined
    }
    const { codec } = sink
    const shares = isCodec(codec) && this.#keep === undefined && sink.takesBroadcast(bytes)
    if (!shares) {
      this.#unsubscribe()
      this.#send(message)
    } else if (this.#topic === undefined) {
      this.#topic = head.topic(codec)
      sink.subscribe(this.#topic)
    }
    this.#moveTo(message.position)
    return shares ? codec : undefined
  }

  lost(anew: boolean): void {
    this.#anew ||= anew
    this.#fallBehind()
  }

  memberLeft(user: string): void {
    if (user !== this.#owner.user) return
    this.#fail(new ReplyError('forbidden', 'You are no member of this session any more.'))
  }

  sessionDeleted(): void {
    this.#fail(new ReplyError('session_deleted'))
  }

  /** Says once more where it is, if it is live: the log was away meanwhile. */
  tellLive(): void {
    if (this.#phase === 'live') this.#writeLive()
  }

  close(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#ports.metrics?.readerLeft(this.#owner.door)
    this.#unsubscribe()
    this.#giveFeedBack()
    const waiting = this.#waiting
    this.#waiting = NOBODY
    for (const { then } of waiting) then()
  }

  #send(message: EntryMessage): void {
    const sink = this.#sink
    const keep = this.#keep
    const own = keep === undefined || message.empty ? message : message.kept(keep)
    if (!own.empty) sink.writeEntries(own.in(sink.codec))
  }

  #giveFeedBack(): void {
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
    this.#ports.metrics?.readerFellBehind(this.#owner)
    this.#behindSince = performance.now()
    this.#catchUp(() => undefined).catch((error: unknown) => this.#fail(error))
  }

  #fail(error: unknown): void {
    if (this.#phase === 'closed') return
    this.close()
    this.#owner.readFailed(this.session, error)
  }

  /** @param attached called when the reader is told that it is attached */
  async #catchUp(attached: () => void): Promise<void> {
    const { replays } = this.#sink
    if (!(await replays.take())) return
    const until = performance.now() + AWAY_MS
    try {
      for (let lost = 0; this.#phase !== 'closed'; ) {
        const feed = await this.#feed()
        if (feed === undefined) return
        const release = feed.keepRecent()
        try {
          await this.#replay(feed, attached)
          if (this.#joins(feed)) return
        } catch (error) {
          if (error instanceof StorageError && this.#phase === 'catching up' && performance.now() < until) {
            // Whoever is attached stays so while the log is away.
            await new Promise((resolve) => setTimeout(resolve, AWAY_RETRY_MS))
            continue
          }
          // Trimmed while it was read: what is left of it comes from the transcript, after a reset.
          lost += 1
          if (!(error instanceof CursorLost) || lost === LOST_TRIES) throw error
        } finally {
          release()
        }
      }
    } finally {
      replays.give()
    }
  }

  /** The feed; undefined when the reader was closed meanwhile. */
  async #feed(): Promise<Feed | undefined> {
    if (this.#lease !== undefined && !this.#lease.feed.isLost) return this.#lease.feed
    this.#giveFeedBack()
    const lease = await this.#ports.hub.retain(this.session)
    if (this.#phase === 'closed') {
      lease.release()
      return undefined
    }
    this.#lease = lease
    if (lease.feed.isDeleted) throw new ReplyError('session_deleted')
    // First listened, then asked: who is removed in between is not missed.
    lease.feed.watch(this)
    this.#role = await this.#owner.admit(this.session)
    return this.#closed ? undefined : lease.feed
  }

  async #replay(feed: Feed, attached: () => void): Promise<void> {
    const { stores } = this.#ports
    const { session } = this
    const sink = this.#sink
    if (!(await sink.room())) return
    const first = this.#phase === 'attaching'
    const anew = this.#anew
    const at = first ? this.#after : formatCursor(stores.log.epoch, this.#position)
    // Whoever comes back to where the feed is needs nothing that would have to be read.
    if (first && !anew && at === formatCursor(stores.log.epoch, feed.position)) {
      this.#position = feed.position
      this.#writeAttached(feed, false)
      attached()
      return
    }
    const after = anew ? undefined : at
    const { reset: isLost, batches } = await replay(stores, session, after, { merge: this.#merge })
    if (this.#closed) return
    const reset = anew || isLost
    this.#anew = false
    if (reset) this.#arrival?.reset()
    if (first || reset) {
      this.#position = reset || after === undefined ? 0 : (parseCursor(after)?.seq ?? 0)
      this.#writeAttached(feed, reset)
      attached()
    }
    for await (const batch of batches) {
      if (this.#closed) return
      if (batch.shown.length > 0) this.#send(new EntryMessage(feed.head, batch.shown, batch.position))
      // What it kept may have been the last that its reader wanted.
      if (this.#closed) return
      this.#moveTo(batch.position)
      if (!(await sink.room())) return
    }
  }

  /** The step from replay to live: in one go, so that nothing comes between. @returns whether it is done */
  #joins(feed: Feed): boolean {
    if (this.#closed) return true
    if (feed.isLost || this.#sink.full) return false
    const entries = feed.since(this.#position)
    if (entries === undefined) return false
    // Whole, as in a replay: he was not live while these came.
    const shown = this.#merge ? merged(entries) : entries
    if (shown.length > 0) this.#send(new EntryMessage(feed.head, shown, feed.position))
    if (this.#closed) return true
    // A cursor of elsewhere in the store may lie beyond the session's last entry.
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
    if (this.#waiting.length === 0) return
    const reached = this.#waiting.filter((waiter) => waiter.seq <= position)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter((waiter) => waiter.seq > position)
    for (const { then } of reached) then()
  }
}

function isCodec(form: EntryForm): form is CodecName {
  return form === 'json' || form === 'msgpack'
}
