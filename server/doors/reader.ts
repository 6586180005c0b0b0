// Reader: one connection's reading of one session. It is sent every entry after its cursor once, in order.
//
//   attach ──► catching up ──(at the feed's position)──► live
//                  ▲                                       │
//                  └──(its outbox is full, or feed lost)───┘        any ──► closed
//
// Whoever cannot keep up is not buffered for: its position is remembered, and the log is read again.
import { type CodecName, formatCursor, parseCursor, ReplyError } from '@parley/protocol'
import type { Seq } from '../log/entry.ts'
import { CursorLost, StorageError } from '../log/log-error.ts'
import type { DoorMetrics } from '../metric/door-metrics.ts'
import { replay } from '../session/replay.ts'
import { merged } from '../session/shown.ts'
import { type EntryForm, EntryMessage, type FrameHead } from './entry-message.ts'
import type { Feed, LiveReader } from './feed.ts'
import type { FeedLease } from './hub.ts'
import type { ReaderPorts, ReaderReport, ReaderSink, ReaderStart } from './reader-ports.ts'

export type { ReaderPorts, ReaderReport, ReaderSink, ReaderStart }

type Phase = 'attaching' | 'catching up' | 'live' | 'closed'

/** Milliseconds that one who is attached waits for a log that is away, and between its tries. */
const AWAY_MS = 5 * 60_000
const AWAY_RETRY_MS = 500
/** How often the log may be trimmed under one catching up before the reader gives up. */
const LOST_TRIES = 8

export class Reader implements LiveReader {
  readonly #ports: ReaderPorts
  readonly #start: ReaderStart
  /** Of the two above, what each token needs. */
  readonly #sink: ReaderSink
  readonly #keep: ReaderStart['keep']
  readonly #meter: ReturnType<DoorMetrics['reader']> | undefined
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
  #waiting: { readonly seq: Seq; readonly then: () => void }[] = []
  readonly #since = Date.now()

  constructor(ports: ReaderPorts, start: ReaderStart) {
    this.#ports = ports
    this.#start = start
    this.#sink = ports.sink
    this.#keep = start.keep
    const { door, resume, after, fresh } = start
    this.#meter = ports.metrics?.reader({ door, resume, isBack: after !== undefined && fresh !== true })
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
    const { connection, user, door } = this.#start
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
    else this.#waiting.push({ seq, then })
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
    if (user !== this.#start.user) return
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
    this.#meter?.left()
    this.#unsubscribe()
    this.#giveFeedBack()
    const waiting = this.#waiting
    this.#waiting = []
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
    const { feed, release } = this.#lease
    this.#lease = undefined
    feed.leave(this)
    feed.unwatch(this)
    release()
  }

  #unsubscribe(): void {
    if (this.#topic === undefined) return
    this.#ports.sink.unsubscribe(this.#topic)
    this.#topic = undefined
  }

  #fallBehind(): void {
    this.#unsubscribe()
    this.#lease?.feed.leave(this)
    this.#phase = 'catching up'
    this.#meter?.behind()
    this.#behindSince = performance.now()
    this.#catchUp(() => undefined).catch((error: unknown) => this.#fail(error))
  }

  #fail(error: unknown): void {
    if (this.#phase === 'closed') return
    this.close()
    this.#ports.failed(error)
  }

  /** @param attached called when the reader is told that it is attached */
  async #catchUp(attached: () => void): Promise<void> {
    const { replays } = this.#ports.sink
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
    const lease = await this.#ports.hub.retain(this.#start.session)
    if (this.#phase === 'closed') {
      lease.release()
      return undefined
    }
    this.#lease = lease
    if (lease.feed.isDeleted) throw new ReplyError('session_deleted')
    // First listened, then asked: who is removed in between is not missed.
    lease.feed.watch(this)
    this.#role = await this.#start.admit()
    return this.#closed ? undefined : lease.feed
  }

  async #replay(feed: Feed, attached: () => void): Promise<void> {
    const { stores, sink } = this.#ports
    const { session, id, merge } = this.#start
    const role = this.#role
    if (!(await sink.room())) return
    const first = this.#phase === 'attaching'
    const anew = this.#anew
    const at = first ? this.#start.after : formatCursor(stores.log.epoch, this.#position)
    // Whoever comes back to where the feed is needs nothing that would have to be read.
    if (first && !anew && at === formatCursor(stores.log.epoch, feed.position)) {
      this.#position = feed.position
      sink.write({ type: 'attached', id, session, cursor: at, role })
      this.#phase = 'catching up'
      attached()
      return
    }
    const after = anew ? undefined : at
    const { reset: isLost, batches } = await replay(stores, session, after, { merge })
    if (this.#closed) return
    const reset = anew || isLost
    this.#anew = false
    if (reset) this.#meter?.reset()
    if (first || reset) {
      this.#position = reset || after === undefined ? 0 : (parseCursor(after)?.seq ?? 0)
      const cursor = formatCursor(stores.log.epoch, feed.position)
      sink.write({ type: 'attached', id, session, cursor, role, ...(reset ? { reset } : {}) })
      if (first) this.#phase = 'catching up'
      attached()
    }
    for await (const batch of batches) {
      if (this.#closed) return
      this.#send(new EntryMessage(feed.head, batch.shown, batch.position))
      // What it kept may have been the last that its reader wanted.
      if (this.#closed) return
      this.#moveTo(batch.position)
      if (!(await sink.room())) return
    }
  }

  /** The step from replay to live: in one go, so that nothing comes between. @returns whether it is done */
  #joins(feed: Feed): boolean {
    if (this.#closed) return true
    if (feed.isLost || this.#ports.sink.full) return false
    const entries = feed.since(this.#position)
    if (entries === undefined) return false
    const { merge } = this.#start
    // Whole, as in a replay: he was not live while these came.
    const shown = merge ? merged(entries) : entries
    this.#send(new EntryMessage(feed.head, shown, feed.position))
    if (this.#closed) return true
    // A cursor of elsewhere in the store may lie beyond the session's last entry.
    this.#moveTo(Math.max(this.#position, feed.position))
    this.#phase = 'live'
    this.#behindSince = undefined
    feed.join(this)
    this.#meter?.live()
    this.#writeLive()
    return true
  }

  #writeLive(): void {
    const cursor = formatCursor(this.#ports.stores.log.epoch, this.#position)
    this.#ports.sink.write({ type: 'live', session: this.#start.session, cursor })
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
